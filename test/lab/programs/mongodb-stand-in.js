'use strict'

/**
 * Stands in for a MongoDB server, which Debian does not package. Answers `hello` and commands without a result, such as
 * `ping` (OP_MSG, and OP_QUERY for the first hello).
 */
const net = require('node:net')
const { createRequire } = require('node:module')
const { join } = require('node:path')
const { config, ready } = require('./parent')

const ofDrivers = createRequire(join(__dirname, '..', 'drivers', 'package.json'))
const { deserialize, serialize } = ofDrivers('bson')

const { host = '127.0.0.1', port = 0 } = config
const HEADER = 16
const OP_REPLY = 1
const OP_QUERY = 2004
const OP_MSG = 2013

const hello = {
  helloOk: true,
  isWritablePrimary: true,
  maxBsonObjectSize: 16 * 2 ** 20,
  maxMessageSizeBytes: 48_000_000,
  maxWriteBatchSize: 100_000,
  minWireVersion: 0,
  maxWireVersion: 21,
  readOnly: false,
}

let lastId = 0

function message(opCode, responseTo, body) {
  const header = Buffer.alloc(HEADER)
  header.writeInt32LE(HEADER + body.length, 0)
  header.writeInt32LE(++lastId, 4)
  header.writeInt32LE(responseTo, 8)
  header.writeInt32LE(opCode, 12)
  return Buffer.concat([header, body])
}

const answerTo = (command) => {
  const isHello = command.hello ?? command.ismaster ?? command.isMaster
  return serialize({ ...(isHello === undefined ? {} : { ...hello, localTime: new Date() }), ok: 1 })
}

function answer(request) {
  const id = request.readInt32LE(4)
  const opCode = request.readInt32LE(12)
  if (opCode === OP_MSG) {
    // Flags, and one section of kind 0.
    const document = answerTo(deserialize(request.subarray(HEADER + 5)))
    return message(OP_MSG, id, Buffer.concat([Buffer.alloc(5), document]))
  }
  if (opCode !== OP_QUERY) throw new Error(`operation ${opCode} is not answered`)
  // Flags, the name of the collection, and the numbers of documents to skip and to return.
  const name = request.indexOf(0, HEADER + 4)
  const document = answerTo(deserialize(request.subarray(name + 9)))
  // Flags, cursor, the number of the first document, and the number of documents.
  const head = Buffer.alloc(20)
  head.writeInt32LE(1, 16)
  return message(OP_REPLY, id, Buffer.concat([head, document]))
}

const server = net.createServer((socket) => {
  let pending = Buffer.alloc(0)
  socket.on('error', () => {})
  socket.on('data', (data) => {
    pending = Buffer.concat([pending, data])
    while (pending.length >= HEADER && pending.length >= pending.readInt32LE(0)) {
      const end = pending.readInt32LE(0)
      socket.write(answer(pending.subarray(0, end)))
      pending = pending.subarray(end)
    }
  })
})
server.listen(port, host, () => ready({ port: server.address().port }))
