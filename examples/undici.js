'use strict'

// undici and fetch with options that are set before connect(2), and closes that leave no TIME_WAIT.
const http = require('node:http')
const { once } = require('node:events')
const { Agent, fetch, setGlobalDispatcher } = require('undici')
const { getOption } = require('socket-tuner')
const { tunedConnector } = require('socket-tuner/undici')

async function main() {
  const server = http.createServer((request, response) => response.end('answer\n'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${server.address().port}/`

  // A connector can be wrapped, here to observe its socket.
  const connector = tunedConnector({ settings: { TCP_USER_TIMEOUT: 20_000 }, timeout: 5_000 })
  const sockets = []
  const connect = (parameters, callback) => {
    const socket = connector(parameters, callback)
    if (socket) sockets.push(socket)
    return socket
  }
  const agent = new Agent({ connect, connections: 1 })
  setGlobalDispatcher(agent)

  // undici's own fetch and then Node's, on one connection.
  for (const ask of [fetch, globalThis.fetch]) {
    const response = await ask(url)
    console.log(response.status, (await response.text()).trim())
  }
  const timeout = getOption(sockets[0], 'TCP_USER_TIMEOUT')
  console.log(`${sockets.length} connection, TCP_USER_TIMEOUT ${timeout} ms`)

  // undici closes in mode deliver, the default.
  await agent.close()
  server.close()
  await once(server, 'close')
  if (sockets.length !== 1 || timeout !== 20_000) process.exitCode = 1
}

void main()
