'use strict'

/** States of a net.Server and its derivatives. */
const http = require('node:http')
const http2 = require('node:http2')
const https = require('node:https')
const net = require('node:net')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const tls = require('node:tls')
const { listen, setCloseMode, tuneServer } = require('../../../dist')
const { HOST, closed, once } = require('./scene')

const kinds = {
  'net.Server': () => net.createServer(),
  'http.Server': () => http.createServer(),
  // No handshake takes place, so no certificate is needed.
  'https.Server': () => https.createServer(),
  'tls.Server': () => tls.createServer(),
  'http2 server': () => http2.createServer(),
}

const { 'net.Server': plain, 'https.Server': secure } = kinds
const plainAndSecure = { 'net.Server': plain, 'https.Server': secure }

/** A state of each kind of server, or of some kinds. */
function each(name, act, some = kinds) {
  const all = {}
  for (const [kind, create] of Object.entries(some))
    all[`${kind} ${name}`] = async (scene, done) => act(scene.own(create()), done, scene)
  return all
}

async function listening(server) {
  server.listen(0, HOST)
  await once(server, 'listening')
  return server.address().port
}

module.exports = {
  ...each('that does not listen', (server, act) => act(server)),

  ...each('that listens', async (server, act) => {
    await listening(server)
    act(server)
  }),

  ...each(
    'that has a connection',
    async (server, act, scene) => {
      const accepting = once(server, 'connection')
      scene.connect(await listening(server))
      await accepting
      act(server)
    },
    plainAndSecure,
  ),

  ...each(
    'that closes, with a connection left',
    async (server, act, scene) => {
      const accepting = once(server, 'connection')
      scene.connect(await listening(server)).write('?')
      await accepting
      server.close()
      act(server)
    },
    plainAndSecure,
  ),

  ...each('that is closed', async (server, act) => {
    await listening(server)
    const over = closed(server)
    server.close()
    await over
    act(server)
  }),

  "net.Server in 'listening'": async (scene, act) => {
    const server = scene.own(net.createServer())
    await new Promise((resolve) => server.listen(0, HOST, () => resolve(act(server))))
  },

  'net.Server in the tick of listen()': (scene, act) =>
    act(scene.own(net.createServer()).listen(0, HOST)),

  'net.Server whose host name is being looked up': (scene, act) => {
    act(scene.own(net.createServer()).listen(0, 'localhost'))
  },

  "net.Server in the 'error' of listen()": async (scene, act) => {
    const port = await scene.serve()
    const server = scene.own(net.createServer())
    await new Promise((resolve) => {
      server.once('error', () => resolve(act(server)))
      server.listen(port, HOST)
    })
  },

  "net.Server in 'connection'": async (scene, act) => {
    const server = scene.own(net.createServer())
    const accepting = new Promise((resolve) => {
      server.once('connection', () => resolve(act(server)))
    })
    scene.connect(await listening(server))
    await accepting
  },

  'net.Server that listens again': async (scene, act) => {
    const server = scene.own(net.createServer())
    await listening(server)
    server.close()
    await closed(server)
    await listening(server)
    act(server)
  },

  'net.Server under a close mode, closed': async (scene, act) => {
    const server = scene.own(net.createServer())
    setCloseMode(server, 'deliver')
    await listening(server)
    server.close()
    await closed(server)
    act(server)
  },

  'net.Server that is already tuned': async (scene, act) => {
    const server = scene.own(net.createServer())
    tuneServer(server, { settings: { SO_KEEPALIVE: true, TCP_KEEPIDLE: 7 }, close: 'lingering' })
    await listening(server)
    act(server)
  },

  'net.Server that listens by listen()': async (scene, act) => {
    const server = scene.own(net.createServer())
    await listen(server, { host: HOST, close: 'deliver' })
    act(server)
  },

  'net.Server whose connections wait': async (scene, act) => {
    const server = scene.own(net.createServer({ pauseOnConnect: true }))
    const port = await listening(server)
    for (let count = 0; count < 3; count++) scene.connect(port)
    act(server)
  },

  'net.Server that drops connections': async (scene, act) => {
    const server = scene.own(net.createServer())
    server.maxConnections = 1
    const port = await listening(server)
    scene.connect(port)
    scene.connect(port)
    await once(server, 'drop')
    act(server)
  },

  'net.Server of a unix-domain socket': async (scene, act) => {
    const server = scene.own(net.createServer())
    server.listen(join(tmpdir(), `socket-tuner-states-${String(process.pid)}-server.sock`))
    await once(server, 'listening')
    act(server)
  },

  'net.Server of a cluster worker': {
    needs: 'cluster',
    make: async (scene, act) => {
      const server = scene.own(net.createServer())
      await listening(server)
      act(server)
    },
  },

  'net.Server of a cluster worker, closed': {
    needs: 'cluster',
    make: async (scene, act) => {
      const server = scene.own(net.createServer())
      await listening(server)
      server.close()
      await closed(server)
      act(server)
    },
  },

  'net.Server of a cluster worker, exclusive': {
    needs: 'cluster',
    make: async (scene, act) => {
      const server = scene.own(net.createServer())
      server.listen({ port: 0, host: HOST, exclusive: true })
      await once(server, 'listening')
      act(server)
    },
  },
}
