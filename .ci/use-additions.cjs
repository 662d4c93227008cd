'use strict'

/** Uses what the changes in CONTRIBUTING.md add. */
const assert = require('node:assert/strict')
const { once } = require('node:events')
const net = require('node:net')
const { closeModeNames, closeSocket, closeTotals, describeOption, tune } = require('../dist')
const { native } = require('../dist/kernel/binding')
const { watchPorts } = require('../dist/ports')

async function main() {
  const server = net.createServer((socket) => socket.on('error', () => undefined).resume())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  const socket = net.connect(port, '127.0.0.1')
  await once(socket, 'connect')

  assert.equal(native.constants.TCP_VARIANT, 199)
  assert.deepEqual(describeOption('TCP_VARIANT').range, [0, 3])
  assert.throws(() => tune(socket, { TCP_VARIANT: 4 }), { code: 'ERR_OUT_OF_RANGE' })
  assert.equal(tune(socket, { TCP_VARIANT: 1 }).TCP_VARIANT.status, 'unsupported')

  assert.ok(closeModeNames.includes('abrupt'))
  const report = await closeSocket(socket, 'abrupt')
  assert.equal(report.requested, 'abrupt')
  assert.equal(report.timeWait, 'avoided')
  assert.equal(
    Object.values(closeTotals().closes).reduce((sum, count) => sum + count),
    1,
  )
  server.close()

  const destinations = [{ remoteAddress: '127.0.0.1', remotePort: port }]
  assert.throws(() => watchPorts({ destinations, looks: 0 }), { code: 'ERR_OUT_OF_RANGE' })
  assert.throws(() => watchPorts({ destinations, look: 1 }), /did you mean '.*looks'/)
  watchPorts({ destinations, looks: 1 }).stop()
}

void main()
