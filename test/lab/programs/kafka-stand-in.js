'use strict'

/**
 * Stands in for a Kafka broker, which Debian does not package. Answers the first requests of a client, ApiVersions and
 * Metadata (kafka.apache.org/protocol), and has no topics.
 */
const net = require('node:net')
const tls = require('node:tls')
const { config, ready } = require('./parent')

/** `certificate`: with it, the stand-in speaks TLS. */
const { host = '127.0.0.1', port = 0, certificate } = config
const METADATA = 3
const API_VERSIONS = 18
const NO_ERROR = 0
const UNSUPPORTED_VERSION = 35

/** The supported versions of each request. */
const supported = [
  { key: METADATA, min: 0, max: 0 },
  { key: API_VERSIONS, min: 0, max: 2 },
]

const int16 = (value) => {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

const int32 = (value) => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

const string = (text) => Buffer.concat([int16(Buffer.byteLength(text)), Buffer.from(text)])
const array = (items) => Buffer.concat([int32(items.length), ...items])

function apiVersions(version) {
  const isSupported = version <= 2
  const versions = supported.map(({ key, min, max }) =>
    Buffer.concat([int16(key), int16(min), int16(max)]),
  )
  const error = isSupported ? NO_ERROR : UNSUPPORTED_VERSION
  const throttleTime = isSupported && version > 0 ? [int32(0)] : []
  return Buffer.concat([int16(error), array(versions), ...throttleTime])
}

function metadata(port) {
  const broker = Buffer.concat([int32(1), string(host), int32(port)])
  return Buffer.concat([array([broker]), array([])])
}

function answer(request, port) {
  const key = request.readInt16BE(0)
  const version = request.readInt16BE(2)
  const correlation = request.readInt32BE(4)
  if (key !== METADATA && key !== API_VERSIONS) throw new Error(`API ${key} is not answered`)
  const body = key === METADATA ? metadata(port) : apiVersions(version)
  return Buffer.concat([int32(4 + body.length), int32(correlation), body])
}

function accept(socket) {
  let pending = Buffer.alloc(0)
  socket.on('error', () => {})
  socket.on('data', (data) => {
    pending = Buffer.concat([pending, data])
    while (pending.length >= 4 && pending.length >= 4 + pending.readInt32BE(0)) {
      const end = 4 + pending.readInt32BE(0)
      socket.write(answer(pending.subarray(4, end), server.address().port))
      pending = pending.subarray(end)
    }
  })
}

const server =
  certificate === undefined ? net.createServer(accept) : tls.createServer(certificate, accept)
server.listen(port, host, () => ready({ port: server.address().port }))
