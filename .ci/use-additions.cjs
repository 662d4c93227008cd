'use strict'

/** Uses the additions that CONTRIBUTING.md shows. */
const assert = require('node:assert/strict')
const { once } = require('node:events')
const net = require('node:net')
const { closeModeNames, closeSocket, closeTotals, describeOption, tune } = require('../dist')
const { native } = require('../dist/kernel/binding')
const { kinds } = require('../dist/options/kinds')
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

  const { ipv4Address } = kinds
  assert.deepEqual([...ipv4Address.encode('IP_VARIANT', {}, '192.0.2.7')], [192, 0, 2, 7])
  assert.equal(ipv4Address.decode(Buffer.from([192, 0, 2, 7])), '192.0.2.7')
  assert.throws(() => ipv4Address.encode('IP_VARIANT', {}, '::1'), {
    code: 'ERR_INVALID_ARG_VALUE',
  })

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
  assert.throws(() => watchPorts({ destinations, readings: 0 }), { code: 'ERR_OUT_OF_RANGE' })
  assert.throws(() => watchPorts({ destinations, reading: 1 }), /did you mean '.*readings'/)
  watchPorts({ destinations, readings: 1 }).stop()
}

void main()
