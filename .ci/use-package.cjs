'use strict'

const net = require('node:net')
const { closeSocket, tcpInfo, tune, tuneServer } = require('socket-tuner')

const server = net.createServer((peer) => peer.on('data', (chunk) => peer.write(chunk)))
server.listen(0, '127.0.0.1', () => {
  tuneServer(server, { TCP_NODELAY: true }, { closeMode: 'deliver' })
  const socket = net.connect(server.address().port, '127.0.0.1', async () => {
    const report = tune(socket, { TCP_NODELAY: true, TCP_USER_TIMEOUT: 5000 })
    socket.write('x')
    await new Promise((resolve) => socket.once('data', resolve))
    const { state } = tcpInfo(socket)
    const closed = await closeSocket(socket, { mode: 'deliver' })
    server.close()
    if (
      report.TCP_USER_TIMEOUT.status !== 'applied' ||
      state !== 'ESTABLISHED' ||
      closed.timeWait !== 'avoided'
    ) {
      throw new Error(JSON.stringify({ report, state, closed }))
    }
    console.log('require', process.version, closed.mode, closed.timeWait)
  })
})
