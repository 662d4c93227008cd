'use strict'

/** States of a net.Socket. */
const { spawn } = require('node:child_process')
const { openSync } = require('node:fs')
const net = require('node:net')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const tty = require('node:tty')
const { SourcePool, closeSocket, connect, queueSizes, setCloseMode } = require('../../../dist')
const { HOST, closed, immediate, large, narrow, nextTick, once, until } = require('./scene')

/** A port of loopback without a listener. */
const CLOSED_PORT = 1

/** A state of the client's socket, and the same state of the accepted one. */
function bothSides(name, options, act, more = {}) {
  const of = (side, other) => ({
    ...more,
    make: async (scene, done) => {
      const pair = await scene.pair(options)
      await act(pair[side], pair[other], done)
    },
  })
  return {
    [`net.Socket that connected, ${name}`]: of('client', 'accepted'),
    [`net.Socket that was accepted, ${name}`]: of('accepted', 'client'),
  }
}

const halfOpen = { server: { allowHalfOpen: true }, client: { allowHalfOpen: true } }

module.exports = {
  'net.Socket that was never connected': (scene, act) => act(scene.keep(new net.Socket())),

  'net.Socket that was never connected, and has data': (scene, act) => {
    const socket = scene.keep(new net.Socket())
    socket.write('data')
    act(socket)
  },

  'net.Socket that was never connected, and has ended': (scene, act) => {
    const socket = scene.keep(new net.Socket())
    socket.end()
    act(socket)
  },

  'net.Socket in the tick of connect()': async (scene, act) =>
    act(scene.connect(await scene.serve())),

  'net.Socket whose host name is being looked up': (scene, act) => {
    const socket = scene.connect(9, { host: 'name.test', lookup: () => undefined })
    act(socket)
  },

  "net.Socket in 'connectionAttempt'": async (scene, act) => {
    const socket = scene.connect(await scene.serve())
    await new Promise((resolve) => {
      socket.once('connectionAttempt', () => {
        act(socket)
        resolve()
      })
    })
  },

  "net.Socket in 'connectionAttempt' to the first of two addresses": async (scene, act) => {
    const addresses = [1, 2].map((last) => ({ address: `127.0.0.${String(last)}`, family: 4 }))
    const lookup = (_host, _options, callback) => callback(null, addresses)
    const socket = scene.connect(CLOSED_PORT, { host: 'name.test', lookup })
    await new Promise((resolve) => {
      socket.once('connectionAttempt', () => {
        act(socket)
        resolve()
      })
    })
  },

  "net.Socket in 'connectionAttempt' to the second of two addresses": async (scene, act) => {
    const addresses = [1, 2].map((last) => ({ address: `127.0.0.${String(last)}`, family: 4 }))
    const lookup = (_host, _options, callback) => callback(null, addresses)
    const socket = scene.connect(CLOSED_PORT, { host: 'name.test', lookup })
    await new Promise((resolve) => {
      socket.on('connectionAttempt', (address) => {
        if (address === '127.0.0.1') return
        act(socket)
        resolve()
      })
    })
  },

  'net.Socket that is connecting': async (scene, act) => {
    const socket = scene.connect(await scene.blackHole())
    await nextTick()
    act(socket)
  },

  'net.Socket that is connecting, and has data and an end': async (scene, act) => {
    const socket = scene.connect(await scene.blackHole())
    socket.end('data')
    await nextTick()
    act(socket)
  },

  'net.Socket that is connecting by connect() of this library': async (scene, act) => {
    const port = await scene.blackHole()
    const socket = scene.keep(connect({ host: HOST, port, settings: { TCP_NODELAY: true } }))
    await nextTick()
    act(socket)
  },

  'net.Socket whose AbortSignal is already aborted': async (scene, act) => {
    act(scene.connect(await scene.serve(), { signal: AbortSignal.abort() }))
  },

  'net.Socket whose AbortSignal is aborted while it connects': async (scene, act) => {
    const abort = new AbortController()
    const socket = scene.connect(await scene.blackHole(), { signal: abort.signal })
    await nextTick()
    abort.abort()
    act(socket)
  },

  'net.Socket that is about to be refused': async (scene, act) => {
    const socket = scene.connect(CLOSED_PORT)
    await nextTick()
    act(socket)
  },

  "net.Socket in the 'error' of connect()": async (scene, act) => {
    const socket = scene.connect(CLOSED_PORT)
    await new Promise((resolve) => {
      socket.once('error', () => {
        act(socket)
        resolve()
      })
    })
  },

  'net.Socket that was refused': async (scene, act) => {
    const socket = scene.connect(CLOSED_PORT)
    await closed(socket)
    act(socket)
  },

  "net.Socket in 'connect'": async (scene, act) => {
    const socket = scene.connect(await scene.serve())
    await new Promise((resolve) => {
      socket.once('connect', () => {
        act(socket)
        resolve()
      })
    })
  },

  "net.Socket destroyed in 'connect'": async (scene, act) => {
    const socket = scene.connect(await scene.serve())
    await new Promise((resolve) => {
      socket.once('connect', () => {
        socket.destroy()
        act(socket)
        resolve()
      })
    })
  },

  "net.Socket in its server's 'connection'": async (scene, act) => {
    const server = net.createServer()
    const accepting = new Promise((resolve) => {
      server.once('connection', (socket) => {
        act(scene.keep(socket))
        resolve()
      })
    })
    scene.connect(await scene.listen(server)).resume()
    await accepting
  },

  ...bothSides('idle', {}, (socket, _peer, act) => act(socket)),

  ...bothSides('which reads', {}, (socket, peer, act) => {
    socket.resume()
    peer.resume()
    act(socket)
  }),

  ...bothSides('with end() in the same tick', halfOpen, (socket, _peer, act) => {
    socket.end('data')
    act(socket)
  }),

  ...bothSides('which has ended', halfOpen, async (socket, peer, act) => {
    socket.end('data')
    peer.resume()
    await once(peer, 'end')
    act(socket)
  }),

  ...bothSides('whose peer has ended', halfOpen, async (socket, peer, act) => {
    peer.end('data')
    socket.resume()
    await once(socket, 'end')
    act(socket)
  }),

  ...bothSides("in 'end'", {}, async (socket, peer, act) => {
    socket.once('end', () => act(socket)).resume()
    peer.resume().end()
    await once(socket, 'end')
  }),

  ...bothSides('which both sides have ended', halfOpen, async (socket, peer, act) => {
    socket.end()
    peer.end()
    socket.resume()
    peer.resume()
    await Promise.all([closed(socket), closed(peer)])
    act(socket)
  }),

  ...bothSides('reset by the peer, not noticed', {}, async (socket, peer, act) => {
    peer.resetAndDestroy()
    await closed(peer)
    act(socket)
  }),

  ...bothSides("in the 'error' of a reset", {}, async (socket, peer, act) => {
    const failed = new Promise((resolve) => {
      socket.once('error', () => {
        act(socket)
        resolve()
      })
    })
    socket.resume()
    peer.resetAndDestroy()
    await failed
  }),

  ...bothSides('reset by the peer and closed', {}, async (socket, peer, act) => {
    const over = closed(socket)
    socket.resume()
    peer.resetAndDestroy()
    await over
    act(socket)
  }),

  ...bothSides('destroyed', {}, (socket, _peer, act) => act(socket.destroy())),

  ...bothSides('destroyed with an error', {}, (socket, _peer, act) =>
    act(socket.destroy(new Error('mine'))),
  ),

  ...bothSides('closed', {}, async (socket, _peer, act) => {
    await closed(socket.destroy())
    act(socket)
  }),

  ...bothSides('after resetAndDestroy()', {}, (socket, _peer, act) =>
    act(socket.resetAndDestroy()),
  ),

  ...bothSides(
    'after end() and resetAndDestroy()',
    halfOpen,
    (socket, _peer, act) => {
      socket.end('data')
      act(socket.resetAndDestroy())
    },
    // libuv refuses the reset, and Node loses track of the descriptor (docs/closes.md).
    { leaves: 1 },
  ),

  ...bothSides(
    'under a close mode, after end() and resetAndDestroy()',
    halfOpen,
    (socket, _peer, act) => {
      setCloseMode(socket, 'deliver')
      socket.end('data')
      act(socket.resetAndDestroy())
    },
  ),

  'net.Socket of a SourcePool, after end() and resetAndDestroy()': async (scene, act) => {
    const port = await scene.serve()
    const source = new SourcePool([HOST])
    const socket = scene.keep(connect({ host: HOST, port, source, allowHalfOpen: true }))
    await once(socket, 'connect')
    socket.end('data')
    act(socket.resetAndDestroy())
  },

  ...bothSides('after destroySoon()', halfOpen, (socket, _peer, act) => {
    socket.write('data')
    socket.destroySoon()
    act(socket)
  }),

  ...bothSides("in 'timeout'", {}, async (socket, _peer, act) => {
    await new Promise((resolve) => {
      socket.setTimeout(1, () => {
        socket.setTimeout(0)
        act(socket)
        resolve()
      })
    })
  }),

  ...bothSides('paused with unread data in the stream', {}, async (socket, peer, act) => {
    peer.write('data')
    socket.once('readable', () => undefined)
    await until(() => socket.readableLength > 0)
    socket.removeAllListeners('readable')
    act(socket)
  }),

  ...bothSides('paused with unread data in the kernel', {}, async (socket, peer, act) => {
    await new Promise((resolve) => peer.write('data', resolve))
    await until(() => queueSizes(socket).unread > 0)
    act(socket)
  }),

  ...bothSides('with more written than the kernel accepts', {}, (socket, peer, act) => {
    narrow(socket, peer)
    socket.write(large)
    act(socket)
  }),

  ...bothSides('ended with more than the kernel accepts', halfOpen, (socket, peer, act) => {
    narrow(socket, peer)
    socket.end(large)
    act(socket)
  }),

  ...bothSides('corked with data', {}, (socket, _peer, act) => {
    socket.cork()
    socket.write('data')
    act(socket)
  }),

  ...bothSides('that is already closing by closeSocket()', {}, (socket, peer, act) => {
    narrow(socket, peer)
    socket.write(large)
    void closeSocket(socket, { mode: 'deliver', deadlineMs: 40 })
    act(socket)
  }),

  ...bothSides('already lingering', halfOpen, async (socket, _peer, act) => {
    setCloseMode(socket, { mode: 'lingering', deadlineMs: 40, idleMs: 40 })
    await closed(socket.destroy())
    act(socket)
  }),

  'net.Socket that reads into a buffer of its own': async (scene, act) => {
    const onread = { buffer: Buffer.alloc(64), callback: () => true }
    const { client, accepted } = await scene.pair({ client: { onread } })
    await new Promise((resolve) => accepted.write('data', resolve))
    act(client)
  },

  'net.Socket that was connected again': async (scene, act) => {
    const { client, port } = await scene.pair()
    await closed(client.destroy())
    client.connect(port, HOST)
    await once(client, 'connect')
    act(client)
  },

  'net.Socket that connects again': async (scene, act) => {
    const { client } = await scene.pair()
    await closed(client.destroy())
    client.connect(await scene.blackHole(), HOST)
    await nextTick()
    act(client)
  },

  'net.Socket whose handle was sent to another process': {
    needs: 'receiver',
    make: async (scene, act, { receiver }) => {
      const { accepted } = await scene.pair()
      await receiver.take(accepted)
      act(accepted)
    },
  },

  'net.Socket whose handle is on its way to another process': {
    needs: 'receiver',
    make: async (scene, act, { receiver }) => {
      const { accepted } = await scene.pair()
      const taken = receiver.take(accepted)
      act(accepted)
      await taken
    },
  },

  'net.Socket that shares its handle with another one': async (scene, act) => {
    const { client } = await scene.pair()
    const other = scene.keep(new net.Socket({ handle: client._handle }))
    act(other)
  },

  'net.Socket of a unix-domain server': async (scene, act) => {
    const path = join(tmpdir(), `socket-tuner-states-${String(process.pid)}.sock`)
    const server = net.createServer((socket) => socket.resume())
    await scene.listen(server, path)
    const socket = scene.keep(net.connect(path))
    await once(socket, 'connect')
    act(socket)
  },

  'net.Socket that is the standard input of a child process': async (scene, act) => {
    const child = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore'] })
    scene.later(() => child.kill())
    act(scene.keep(child.stdin))
  },

  'net.Socket that is a terminal': (scene, act) => {
    act(scene.keep(new tty.ReadStream(openSync('/dev/ptmx', 'r+'))))
  },
}
