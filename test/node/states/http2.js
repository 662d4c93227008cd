'use strict'

/** States of an HTTP/2 session, and of its `socket`. */
const http2 = require('node:http2')
const net = require('node:net')
const tls = require('node:tls')
const { HOST, closed, duplexPair, ignore, immediate, nextTick, once } = require('./scene')

const url = (port) => `http://${HOST}:${String(port)}`

async function serve(scene, options = {}) {
  const server = http2.createServer(options)
  server.on('stream', (stream) => stream.on('error', ignore).respond({ ':status': 200 }))
  return { server, port: await scene.listen(server) }
}

function connect(scene, port, options) {
  return scene.keep(http2.connect(url(port), options))
}

async function pair(scene, options) {
  const { server, port } = await serve(scene)
  const accepting = once(server, 'session')
  const client = connect(scene, port, options)
  const [[accepted]] = await Promise.all([accepting, once(client, 'remoteSettings')])
  return { client, accepted, server, port }
}

/** A state of the client's session, and the same state of the server's. */
function bothSides(name, act, prefix = '') {
  const of = (side, other) => async (scene, done) => {
    const sessions = await pair(scene)
    await act(sessions[side], sessions[other], done, scene)
  }
  return {
    [`${prefix}HTTP/2 client session${name}`]: of('client', 'accepted'),
    [`${prefix}HTTP/2 server session${name}`]: of('accepted', 'client'),
  }
}

/** Opens a stream of the client. */
async function request(client, other) {
  const stream = client.request({ ':method': 'POST' }).on('error', ignore)
  await once(other, 'stream')
  return stream
}

const sessions = {
  'HTTP/2 client session in the tick of connect()': async (scene, act) => {
    const { port } = await serve(scene)
    act(connect(scene, port))
  },

  'HTTP/2 client session that is connecting': async (scene, act) => {
    const port = await scene.blackHole()
    // Node does not close the socket of a session that is destroyed before it is connected.
    const session = connect(scene, port, { createConnection: () => scene.connect(port) })
    await nextTick()
    act(session)
  },

  'HTTP/2 client session that was refused': async (scene, act) => {
    const session = connect(scene, 1)
    await closed(session)
    act(session)
  },

  "HTTP/2 client session in 'connect'": async (scene, act) => {
    const { port } = await serve(scene)
    const session = connect(scene, port)
    await new Promise((resolve) => session.once('connect', () => resolve(act(session))))
  },

  "HTTP/2 server session in 'session'": async (scene, act) => {
    const { server, port } = await serve(scene)
    connect(scene, port)
    await new Promise((resolve) => server.once('session', (session) => resolve(act(session))))
  },

  'HTTP/2 client session of a server that speaks no HTTP/2': async (scene, act) => {
    const port = await scene.listen(net.createServer((socket) => socket.end('220 no HTTP/2\r\n')))
    const session = connect(scene, port)
    await closed(session)
    act(session)
  },

  ...bothSides(' that is idle', (session, _other, act) => act(session)),

  ...bothSides(' with an open stream', async (session, other, act) => {
    const [client, accepted] = session.type === 1 ? [session, other] : [other, session]
    await request(client, accepted)
    act(session)
  }),

  ...bothSides(' that closes', async (session, other, act) => {
    const [client, accepted] = session.type === 1 ? [session, other] : [other, session]
    await request(client, accepted)
    session.close()
    act(session)
  }),

  ...bothSides(' that has received GOAWAY', async (session, other, act) => {
    const [client, accepted] = session.type === 1 ? [session, other] : [other, session]
    await request(client, accepted)
    const told = once(session, 'goaway')
    other.goaway()
    await told
    act(session)
  }),

  ...bothSides(' that was destroyed', (session, _other, act) => {
    session.destroy()
    act(session)
  }),

  ...bothSides(' that is closed', async (session, _other, act) => {
    const over = closed(session)
    session.destroy()
    await over
    act(session)
  }),

  ...bothSides(' whose peer has gone', async (session, other, act) => {
    const over = closed(session)
    other.destroy()
    await over
    act(session)
  }),

  'HTTP/2 client session over TLS': async (scene, act) => {
    const server = http2.createSecureServer(scene.certificate)
    const port = await scene.listen(server)
    const session = scene.keep(http2.connect(`https://localhost:${String(port)}`, scene.trusting))
    await once(session, 'connect')
    act(session)
  },

  'HTTP/2 client session over a stream': async (scene, act) => {
    const [near, far] = duplexPair()
    const server = scene.own(http2.createServer())
    server.emit('connection', scene.keep(far))
    const session = scene.keep(http2.connect(url(80), { createConnection: () => scene.keep(near) }))
    await once(session, 'connect')
    act(session)
  },
}

/** The `socket` of a session is a proxy of the socket below. */
const sockets = {
  ...bothSides('', (session, _other, act) => act(session.socket), 'socket of an '),

  ...bothSides(
    ' that was destroyed',
    (session, _other, act) => {
      const { socket } = session
      session.destroy()
      act(socket)
    },
    'socket of an ',
  ),

  ...bothSides(
    ' that is closed',
    async (session, _other, act) => {
      const { socket } = session
      const over = closed(session)
      session.destroy()
      await over
      act(socket)
    },
    'socket of an ',
  ),
}

const below = {
  'net.Socket below an HTTP/2 client session': async (scene, act) => {
    const { port } = await serve(scene)
    const socket = scene.connect(port)
    const session = scene.keep(http2.connect(url(port), { createConnection: () => socket }))
    await once(session, 'remoteSettings')
    act(socket)
  },

  'net.Socket below an HTTP/2 server session': async (scene, act) => {
    const { server, port } = await serve(scene)
    const accepting = once(server, 'connection')
    const session = connect(scene, port)
    const [socket] = await accepting
    await once(session, 'remoteSettings')
    act(socket)
  },

  'net.Socket below an HTTP/2 client session that was destroyed': async (scene, act) => {
    const { port } = await serve(scene)
    const socket = scene.connect(port)
    const session = scene.keep(http2.connect(url(port), { createConnection: () => socket }))
    await once(session, 'remoteSettings')
    session.destroy()
    act(socket)
  },

  'TLS client below an HTTP/2 client session': async (scene, act) => {
    const server = http2.createSecureServer(scene.certificate)
    const port = await scene.listen(server)
    const socket = scene.keep(tls.connect({ ...scene.trusting, port, ALPNProtocols: ['h2'] }))
    const session = scene.keep(
      http2.connect('https://localhost', { createConnection: () => socket }),
    )
    await once(session, 'remoteSettings')
    await immediate()
    act(socket)
  },
}

module.exports = { sessions, sockets: { ...sockets, ...below } }
