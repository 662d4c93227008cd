'use strict'

/** States of a tls.TLSSocket. */
const net = require('node:net')
const tls = require('node:tls')
const { closeSocket, queueSizes, setCloseMode, setOption } = require('../../../dist')
const {
  HOST,
  closed,
  duplexPair,
  ignore,
  immediate,
  large,
  narrow,
  nextTick,
  once,
  until,
} = require('./scene')

const versions = ['TLSv1.2', 'TLSv1.3']

const olderOnly = tls.createSecureContext({ maxVersion: 'TLSv1.2' })
/** A context that does not trust the certificate of the servers. */
const trustless = tls.createSecureContext()

/** Calls `act` with the socket within an event of the socket, or of its server. */
function actIn(emitter, event, act, before = ignore) {
  return new Promise((resolve) => {
    emitter.once(event, (socket) => {
      const target = emitter instanceof tls.Server ? socket : emitter
      before(target)
      act(target)
      resolve()
    })
  })
}

/** Does what resetAndDestroy() would do. Node refuses that for TLS sockets. */
function reset(socket) {
  setOption(socket, 'SO_LINGER', { enabled: true, seconds: 0 })
  socket.destroy()
}

/** A state of a client and of a server. For TLS 1.2 the client is enough. */
function everywhere(name, act, options = {}) {
  const make = (maxVersion, side, other) => async (scene, done) => {
    const pair = await scene.tlsPair({ server: { maxVersion, ...options }, client: options })
    await act(pair[side], pair[other], done)
  }
  return {
    [`TLSv1.2 client ${name}`]: make('TLSv1.2', 'client', 'accepted'),
    [`TLSv1.3 client ${name}`]: make('TLSv1.3', 'client', 'accepted'),
    [`TLSv1.3 server ${name}`]: make('TLSv1.3', 'accepted', 'client'),
  }
}

/** Makes a server's TLS socket over the connection of a silent client. */
async function silentClient(scene) {
  const server = net.createServer()
  const port = await scene.listen(server)
  const accepting = once(server, 'connection')
  const client = scene.connect(port)
  const [carrier] = await accepting
  return { client, carrier, socket: scene.keep(new tls.TLSSocket(carrier, scene.serving)) }
}

/** Starts a TLS server that calls `inside` during its handshake. */
async function serveWithin(scene, inside) {
  const server = tls.createServer({
    ...scene.certificate,
    SNICallback: function (name, callback) {
      inside(this, () => callback(null))
    },
  })
  return scene.listen(server)
}

/** Returns a session that a client can resume. */
async function sessionOf(scene, port) {
  const socket = scene.connectTls(port)
  socket.resume()
  const [session] = await once(socket, 'session')
  await closed(socket.destroy())
  return session
}

const handshake = {
  'TLS client in the tick of tls.connect()': async (scene, act) =>
    act(scene.connectTls(await scene.serveTls())),

  'TLS client that is connecting': async (scene, act) => {
    const socket = scene.connectTls(await scene.blackHole())
    await nextTick()
    act(socket)
  },

  "TLS client in 'connect'": async (scene, act) => {
    const socket = scene.connectTls(await scene.serveTls())
    await actIn(socket, 'connect', act)
  },

  'TLS client in its handshake': async (scene, act) => {
    const socket = scene.connectTls(await scene.serve())
    await once(socket, 'connect')
    await immediate()
    act(socket)
  },

  'TLS client in its handshake, with data and an end': async (scene, act) => {
    const socket = scene.connectTls(await scene.serve())
    socket.end('data')
    await once(socket, 'connect')
    await immediate()
    act(socket)
  },

  'TLS client destroyed in its handshake': async (scene, act) => {
    const socket = scene.connectTls(await scene.serve())
    await once(socket, 'connect')
    act(socket.destroy())
  },

  'TLS server in its handshake': async (scene, act) => act((await silentClient(scene)).socket),

  'TLS server whose client goes away in the handshake': async (scene, act) => {
    const { client, socket } = await silentClient(scene)
    client.resetAndDestroy()
    await closed(socket)
    act(socket)
  },

  'TLS server destroyed in its handshake': async (scene, act) => {
    const { socket } = await silentClient(scene)
    act(socket.destroy())
  },

  "TLS server in its 'SNICallback'": async (scene, act) => {
    let port
    await new Promise((resolve) => {
      void serveWithin(scene, (socket, go) => {
        act(socket)
        resolve()
        go()
      }).then((listening) => {
        port = listening
        scene.connectTls(port)
      })
    })
  },

  "TLS server after its 'SNICallback', which does not answer": async (scene, act) => {
    let port
    const socket = await new Promise((resolve) => {
      void serveWithin(scene, resolve).then((listening) => {
        port = listening
        scene.connectTls(port)
      })
    })
    await immediate()
    act(socket)
  },

  "TLS server in its 'ALPNCallback'": async (scene, act) => {
    await new Promise((resolve) => {
      const server = tls.createServer({
        ...scene.certificate,
        ALPNCallback: function () {
          act(this)
          resolve()
          return 'a'
        },
      })
      void scene.listen(server).then((port) => scene.connectTls(port, { ALPNProtocols: ['a'] }))
    })
  },

  "TLS client in 'checkServerIdentity'": async (scene, act) => {
    let socket
    await new Promise((resolve) => {
      const checkServerIdentity = () => {
        act(socket)
        resolve()
      }
      void scene.serveTls().then((port) => {
        socket = scene.connectTls(port, { checkServerIdentity })
      })
    })
  },

  "TLS client in 'keylog'": async (scene, act) => {
    const socket = scene.connectTls(await scene.serveTls())
    await actIn(socket, 'keylog', act)
  },

  "TLS client in 'session'": async (scene, act) => {
    const socket = scene.connectTls(await scene.serveTls())
    socket.resume()
    await actIn(socket, 'session', act)
  },

  "TLS client in 'secure'": async (scene, act) => {
    const socket = scene.connectTls(await scene.serveTls())
    await actIn(socket, 'secure', act)
  },

  "TLS client that refuses the certificate, in 'error'": async (scene, act) => {
    const socket = scene.connectTls(await scene.serveTls(), { servername: 'other.test' })
    await actIn(socket, 'error', act)
  },

  'TLS client that has refused the certificate': async (scene, act) => {
    const socket = scene.connectTls(await scene.serveTls(), {
      secureContext: trustless,
    })
    await closed(socket)
    act(socket)
  },

  "TLS client without a common protocol, in 'error'": async (scene, act) => {
    const socket = scene.connectTls(await scene.serveTls({ ALPNProtocols: ['a'] }), {
      ALPNProtocols: ['b'],
    })
    await actIn(socket, 'error', act)
  },

  "TLS client of a server that speaks no TLS, in 'error'": async (scene, act) => {
    const port = await scene.listen(net.createServer((socket) => socket.write('220 no TLS\r\n')))
    const socket = scene.connectTls(port)
    await actIn(socket, 'error', act)
  },

  "TLS server in 'tlsClientError'": async (scene, act) => {
    const server = tls.createServer(scene.certificate)
    const port = await scene.listen(server)
    const failed = new Promise((resolve) => {
      server.once('tlsClientError', (_error, socket) => {
        act(scene.keep(socket))
        resolve()
      })
    })
    scene.connect(port).write('no TLS at all\r\n')
    await failed
  },

  "TLS server after 'tlsClientError'": async (scene, act) => {
    const server = tls.createServer(scene.certificate)
    const port = await scene.listen(server)
    const failed = once(server, 'tlsClientError')
    scene.connect(port).write('no TLS at all\r\n')
    const [, socket] = await failed
    await immediate()
    act(scene.keep(socket))
  },

  "TLS client without a common version, in 'error'": async (scene, act) => {
    const port = await scene.serveTls({ minVersion: 'TLSv1.3' })
    const socket = scene.connectTls(port, { secureContext: olderOnly })
    await actIn(socket, 'error', act)
  },

  'TLS server without a common version': async (scene, act) => {
    const server = tls.createServer({ ...scene.certificate, minVersion: 'TLSv1.3' })
    const port = await scene.listen(server)
    const failed = once(server, 'tlsClientError')
    scene.connectTls(port, { secureContext: olderOnly })
    const [, socket] = await failed
    act(scene.keep(socket))
  },

  'TLS server whose handshake is overdue': async (scene, act) => {
    const server = tls.createServer({ ...scene.certificate, handshakeTimeout: 1 })
    const port = await scene.listen(server)
    const failed = once(server, 'tlsClientError')
    scene.connect(port)
    const [, socket] = await failed
    act(scene.keep(socket))
  },
}

const signals = {
  'TLS client whose AbortSignal is already aborted': async (scene, act) => {
    act(scene.connectTls(await scene.serve(), { signal: AbortSignal.abort() }))
  },

  'TLS client over a net.Socket whose AbortSignal is already aborted': async (scene, act) => {
    const carrier = scene.connect(await scene.serve())
    const options = { ...scene.trusting, socket: carrier, signal: AbortSignal.abort() }
    act(scene.keep(tls.connect(options)))
  },

  'TLS client over a connected net.Socket whose AbortSignal is already aborted': async (
    scene,
    act,
  ) => {
    const carrier = scene.connect(await scene.serve())
    await once(carrier, 'connect')
    const options = { ...scene.trusting, socket: carrier, signal: AbortSignal.abort() }
    act(scene.keep(tls.connect(options)))
  },

  // Node ends the process if any data arrives, so the server is silent.
  'TLS client whose AbortSignal was already aborted, and which has connected': async (
    scene,
    act,
  ) => {
    const socket = scene.connectTls(await scene.serve(), { signal: AbortSignal.abort() })
    await until(() => !socket.connecting)
    await immediate()
    act(socket)
  },

  'TLS client under a close mode whose AbortSignal was already aborted': async (scene, act) => {
    const socket = scene.connectTls(await scene.serveTls(), { signal: AbortSignal.abort() })
    setCloseMode(socket, 'deliver')
    await until(() => socket.destroyed)
    act(socket)
  },

  ...Object.fromEntries(
    ['connect', 'secure', 'secureConnect'].map((event) => [
      `TLS client whose AbortSignal is aborted in '${event}'`,
      async (scene, act) => {
        const abort = new AbortController()
        const socket = scene.connectTls(await scene.serveTls(), { signal: abort.signal })
        await actIn(socket, event, act, () => abort.abort())
      },
    ]),
  ),

  'TLS client whose AbortSignal is aborted in the handshake': async (scene, act) => {
    const abort = new AbortController()
    const socket = scene.connectTls(await scene.serve(), { signal: abort.signal })
    await once(socket, 'connect')
    await immediate()
    abort.abort()
    act(socket)
  },
}

const inEvents = Object.assign(
  {},
  ...versions.map((maxVersion) => ({
    [`${maxVersion} client in 'secureConnect'`]: async (scene, act) => {
      const socket = scene.connectTls(await scene.serveTls({ maxVersion }))
      await actIn(socket, 'secureConnect', act)
    },

    [`${maxVersion} client in 'secureConnect', with data`]: async (scene, act) => {
      const socket = scene.connectTls(await scene.serveTls({ maxVersion }))
      await actIn(socket, 'secureConnect', act, () => socket.write('data'))
    },

    [`${maxVersion} client destroyed in 'secureConnect'`]: async (scene, act) => {
      const socket = scene.connectTls(await scene.serveTls({ maxVersion }))
      await actIn(socket, 'secureConnect', act, () => socket.destroy())
    },

    [`${maxVersion} client ended in 'secureConnect'`]: async (scene, act) => {
      const socket = scene.connectTls(await scene.serveTls({ maxVersion }))
      await actIn(socket, 'secureConnect', act, () => socket.end('data'))
    },

    [`${maxVersion} client in 'secureConnect' whose connection below is destroyed`]: async (
      scene,
      act,
    ) => {
      const carrier = scene.connect(await scene.serveTls({ maxVersion }))
      const socket = scene.keep(tls.connect({ ...scene.trusting, socket: carrier }))
      await actIn(socket, 'secureConnect', act, () => carrier.destroy())
    },

    [`${maxVersion} server in 'secureConnection'`]: async (scene, act) => {
      const server = tls.createServer({ ...scene.certificate, maxVersion })
      const port = await scene.listen(server)
      scene.connectTls(port)
      await actIn(server, 'secureConnection', act)
    },

    [`${maxVersion} server destroyed in 'secureConnection'`]: async (scene, act) => {
      const server = tls.createServer({ ...scene.certificate, maxVersion })
      const port = await scene.listen(server)
      scene.connectTls(port)
      await actIn(server, 'secureConnection', act, (socket) => socket.destroy())
    },

    [`${maxVersion} server in 'secureConnection' whose connection below is destroyed`]: async (
      scene,
      act,
    ) => {
      const server = tls.createServer({ ...scene.certificate, maxVersion })
      const carriers = []
      server.on('connection', (carrier) => carriers.push(carrier))
      const port = await scene.listen(server)
      scene.connectTls(port)
      await actIn(server, 'secureConnection', act, () => carriers[0].destroy())
    },

    [`${maxVersion} client that resumed a session`]: async (scene, act) => {
      const port = await scene.serveTls({ maxVersion })
      const session = await sessionOf(scene, port)
      const socket = scene.connectTls(port, { session })
      await once(socket, 'secureConnect')
      if (!socket.isSessionReused()) throw new Error('not resumed')
      act(socket)
    },
  })),
)

const established = {
  ...everywhere('that is idle', (socket, _peer, act) => act(socket)),

  ...everywhere('that reads', async (socket, peer, act) => {
    peer.write('data')
    await once(socket, 'data')
    act(socket)
  }),

  ...everywhere('with data written', (socket, peer, act) => {
    socket.write('data')
    act(socket)
  }),

  ...everywhere('with more written than the kernel accepts', (socket, peer, act) => {
    narrow(socket, peer)
    socket.write(large)
    act(socket)
  }),

  ...everywhere('paused with unread data', async (socket, peer, act) => {
    socket.pause()
    await new Promise((resolve) => peer.write('data', resolve))
    await until(() => socket.readableLength > 0 || queueSizes(socket).unread > 0)
    act(socket)
  }),

  ...everywhere(
    'after end() in the same tick',
    (socket, _peer, act) => {
      socket.end('data')
      act(socket)
    },
    { allowHalfOpen: true },
  ),

  ...everywhere(
    'that has ended',
    async (socket, peer, act) => {
      socket.end('data')
      peer.resume()
      await once(peer, 'end')
      act(socket)
    },
    { allowHalfOpen: true },
  ),

  ...everywhere(
    'whose peer has ended',
    async (socket, peer, act) => {
      peer.end('data')
      socket.resume()
      await once(socket, 'end')
      act(socket)
    },
    { allowHalfOpen: true },
  ),

  ...everywhere('that is closed by both sides', async (socket, peer, act) => {
    const over = [closed(socket), closed(peer)]
    socket.resume().end()
    peer.resume().end()
    await Promise.all(over)
    act(socket)
  }),

  ...everywhere('that is destroyed', (socket, _peer, act) => act(socket.destroy())),

  ...everywhere('that is closed', async (socket, _peer, act) => {
    await closed(socket.destroy())
    await immediate()
    act(socket)
  }),

  ...everywhere("reset by its peer, in 'close'", async (socket, peer, act) => {
    socket.resume()
    const over = actIn(socket, 'close', act)
    reset(peer)
    await over
  }),

  ...everywhere('reset by its peer, not noticed', async (socket, peer, act) => {
    reset(peer)
    await closed(peer)
    act(socket)
  }),

  ...everywhere("in 'timeout'", async (socket, _peer, act) => {
    socket.setTimeout(1)
    await actIn(socket, 'timeout', act, () => socket.setTimeout(0))
  }),

  ...everywhere('that is already closing by closeSocket()', (socket, _peer, act) => {
    socket.write('data')
    void closeSocket(socket, { mode: 'deliver', deadlineMs: 40 })
    act(socket)
  }),

  ...everywhere('already lingering', async (socket, _peer, act) => {
    setCloseMode(socket, { mode: 'lingering', deadlineMs: 40, idleMs: 40 })
    await closed(socket.destroy())
    act(socket)
  }),

  'TLSv1.2 client without renegotiation': async (scene, act) => {
    const { client } = await scene.tlsPair({ server: { maxVersion: 'TLSv1.2' } })
    client.disableRenegotiation()
    act(client)
  },

  'TLSv1.2 server without renegotiation': async (scene, act) => {
    const { accepted } = await scene.tlsPair({ server: { maxVersion: 'TLSv1.2' } })
    accepted.disableRenegotiation()
    act(accepted)
  },

  'TLSv1.2 client in a renegotiation': async (scene, act) => {
    const { client } = await scene.tlsPair({ server: { maxVersion: 'TLSv1.2' } })
    client.renegotiate({}, ignore)
    act(client)
  },

  'TLS client that was connected again': async (scene, act) => {
    const { client, port } = await scene.tlsPair()
    await closed(client.destroy())
    client.connect(port, HOST)
    await once(client, 'connect')
    act(client)
  },

  'TLS client that connects again': async (scene, act) => {
    const { client } = await scene.tlsPair()
    await closed(client.destroy())
    client.connect(await scene.blackHole(), HOST)
    await nextTick()
    act(client)
  },
}

const layered = {
  'TLS client over a stream in its handshake': (scene, act) => {
    const [stream] = duplexPair()
    act(scene.keep(tls.connect({ ...scene.trusting, socket: scene.keep(stream) })))
  },

  'TLS client over a stream': async (scene, act) => act((await overStreams(scene)).client),

  'TLS server over a stream': async (scene, act) => act((await overStreams(scene)).accepted),

  'TLS client over a stream that is destroyed': async (scene, act) => {
    const { client, near } = await overStreams(scene)
    near.destroy()
    act(client)
  },

  'TLS client over a stream, closed': async (scene, act) => {
    const { client } = await overStreams(scene)
    await closed(client.destroy())
    act(client)
  },

  'TLS client over a net.Socket that was never connected': (scene, act) => {
    const carrier = scene.keep(new net.Socket())
    act(scene.keep(tls.connect({ ...scene.trusting, socket: carrier })))
  },

  'TLS client over a net.Socket that was connected afterwards': async (scene, act) => {
    const port = await scene.serveTls()
    const carrier = scene.keep(new net.Socket())
    const socket = scene.keep(tls.connect({ ...scene.trusting, socket: carrier }))
    carrier.connect(port, HOST)
    await once(socket, 'secureConnect')
    act(socket)
  },

  'net.Socket below TLS that was connected afterwards': async (scene, act) => {
    const port = await scene.serveTls()
    const carrier = scene.keep(new net.Socket())
    const socket = scene.keep(tls.connect({ ...scene.trusting, socket: carrier }))
    carrier.connect(port, HOST)
    await once(socket, 'secureConnect')
    act(carrier)
  },

  'TLS client over a net.Socket that is connecting': async (scene, act) => {
    const carrier = scene.connect(await scene.blackHole())
    act(scene.keep(tls.connect({ ...scene.trusting, socket: carrier })))
  },

  'TLS client over a net.Socket that was destroyed': async (scene, act) => {
    const { client } = await scene.pair()
    client.destroy()
    act(scene.keep(tls.connect({ ...scene.trusting, socket: client })))
  },

  'net.Socket below a TLS client': async (scene, act) => {
    const carrier = scene.connect(await scene.serveTls())
    const socket = scene.keep(tls.connect({ ...scene.trusting, socket: carrier }))
    await once(socket, 'secureConnect')
    act(carrier)
  },

  'net.Socket below a TLS server': async (scene, act) => act((await scene.tlsPair()).carrier),

  'TLS client whose connection below is destroyed': async (scene, act) => {
    const carrier = scene.connect(await scene.serveTls())
    const socket = scene.keep(tls.connect({ ...scene.trusting, socket: carrier }))
    await once(socket, 'secureConnect')
    await immediate()
    carrier.destroy()
    act(socket)
  },

  'TLS client that ends, whose connection below is destroyed': async (scene, act) => {
    const carrier = scene.connect(await scene.serveTls())
    const socket = scene.keep(tls.connect({ ...scene.trusting, socket: carrier }))
    await once(socket, 'secureConnect')
    await immediate()
    socket.end('data')
    carrier.destroy()
    act(socket)
  },

  "TLS server whose connection below is closed, in that one's 'close'": async (scene, act) => {
    const { accepted, carrier } = await scene.tlsPair()
    await immediate()
    accepted.end('data')
    const over = new Promise((resolve) => {
      carrier.prependOnceListener('close', () => resolve(act(accepted)))
    })
    carrier.destroy()
    await over
  },

  'TLS server whose connection below is destroyed': async (scene, act) => {
    const { accepted, carrier } = await scene.tlsPair()
    await immediate()
    carrier.destroy()
    act(accepted)
  },

  'TLS server whose connection below is reset by the program': async (scene, act) => {
    const { accepted, carrier } = await scene.tlsPair()
    await immediate()
    carrier.resetAndDestroy()
    act(accepted)
  },

  'TLS client in TLS in its handshake': async (scene, act) => {
    const { client } = await scene.tlsPair()
    act(scene.keep(tls.connect({ ...scene.trusting, socket: client })))
  },

  'TLS client in TLS': async (scene, act) => act((await tlsInTls(scene)).client),

  'TLS server in TLS': async (scene, act) => act((await tlsInTls(scene)).accepted),

  'TLS client around TLS': async (scene, act) => act((await tlsInTls(scene)).outerClient),

  'TLS client in TLS whose outer one is destroyed': async (scene, act) => {
    const { client, outerClient } = await tlsInTls(scene)
    outerClient.destroy()
    act(client)
  },

  "TLS client in TLS whose outer one is destroyed in 'secureConnect'": async (scene, act) => {
    const outer = await scene.tlsPair()
    wrapServer(scene, outer.accepted)
    const socket = scene.keep(tls.connect({ ...scene.trusting, socket: outer.client }))
    await actIn(socket, 'secureConnect', act, () => outer.client.destroy())
  },

  'tls.TLSSocket that was never connected': (scene, act) => {
    act(scene.keep(new tls.TLSSocket(new net.Socket())))
  },

  'tls.TLSSocket without a socket': (scene, act) => act(scene.keep(new tls.TLSSocket())),

  'tls.TLSSocket over a connected net.Socket, not begun': async (scene, act) => {
    const { client } = await scene.pair()
    act(scene.keep(new tls.TLSSocket(client)))
  },
}

async function overStreams(scene) {
  const [near, far] = duplexPair()
  const accepted = wrapServer(scene, scene.keep(far))
  const client = scene.keep(tls.connect({ ...scene.trusting, socket: scene.keep(near) }))
  await once(client, 'secureConnect')
  return { client, accepted, near }
}

function wrapServer(scene, stream) {
  return scene.keep(new tls.TLSSocket(stream, scene.serving))
}

async function tlsInTls(scene) {
  const outer = await scene.tlsPair()
  const accepted = wrapServer(scene, outer.accepted)
  const client = scene.keep(tls.connect({ ...scene.trusting, socket: outer.client }))
  await once(client, 'secureConnect')
  return { client, accepted, outerClient: outer.client }
}

module.exports = { ...handshake, ...signals, ...inEvents, ...established, ...layered }
