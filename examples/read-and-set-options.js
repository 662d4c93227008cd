'use strict'

// The outcomes that tune() reports: applied, adjusted by the kernel, too late, and unsupported here.
const net = require('node:net')
const { once } = require('node:events')
const { configure, describeOption, getOption, setOption, tcpInfo, tune } = require('socket-tuner')

async function main() {
  configure({ hazards: 'ignore' }) // The report has it too.
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = net.connect(server.address().port, '127.0.0.1')
  await once(socket, 'connect')

  setOption(socket, 'TCP_USER_TIMEOUT', 30_000)
  console.log('TCP_USER_TIMEOUT', getOption(socket, 'TCP_USER_TIMEOUT'), 'ms')

  const report = tune(socket, { TCP_NODELAY: true, SO_SNDBUF: 65_536, SO_RCVBUF: 65_536 })
  for (const [name, { status, value, why }] of Object.entries(report)) {
    console.log(name, status, value, why ?? '')
  }
  console.log(describeOption('SO_RCVBUF').summary)
  if (process.platform === 'linux') console.log('round trip', tcpInfo(socket).rtt, 'µs')
  if (report.TCP_NODELAY.status !== 'applied') process.exitCode = 1
  socket.destroy()
  server.close()
}

void main()
