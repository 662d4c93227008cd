'use strict'

/** A connection, plain or TLS, whose peer stops receiving. Reports how and when the tuned end detects that. */
const { once } = require('node:events')
const net = require('node:net')
const tls = require('node:tls')
const { deadPeerDetection, queueSizes, setOption, tune } = require('../../../dist')
const { config, ready } = require('./parent')

const { tls: certificate, seconds } = config
/** Drops every segment (bpf(4): BPF_RET with 0 bytes). */
const DEAF = [{ code: 6, jt: 0, jf: 0, k: 0 }]

async function connected() {
  const server = certificate ? tls.createServer(certificate) : net.createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  const ca = certificate?.cert
  const client = certificate
    ? tls.connect({ host: '127.0.0.1', port, ca, servername: 'localhost' })
    : net.connect(port, '127.0.0.1')
  const [[peer]] = await Promise.all([
    once(server, certificate ? 'secureConnection' : 'connection'),
    once(client, certificate ? 'secureConnect' : 'connect'),
  ])
  peer.on('error', () => {})
  // TLS has sent its session tickets by now.
  peer.write('hello')
  await once(client, 'data')
  return { client, peer, server }
}

async function acknowledged(socket) {
  const end = performance.now() + 10_000
  while (queueSizes(socket).unacknowledged > 0) {
    if (performance.now() > end) throw new Error('not acknowledged')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

async function notice({ inFlight }) {
  const { client, peer, server } = await connected()
  tune(client, deadPeerDetection(seconds))
  // As http.Agent does for keep-alive.
  client.setKeepAlive(true, 1_000)
  // A peer with data to retransmit would still send segments.
  await acknowledged(peer)
  setOption(peer, 'SO_ATTACH_FILTER', DEAF)
  const start = performance.now()
  if (inFlight) client.write('question')
  const error = await new Promise((resolve) => client.on('error', resolve))
  const after = (performance.now() - start) / 1000
  peer.destroy()
  server.close()
  return { code: error.code, after }
}

ready({}, { notice })
