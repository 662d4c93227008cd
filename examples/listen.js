'use strict'

// Options that are set before bind(2) and listen(2): two servers on one port, on every release of Node.
const http = require('node:http')
const { getOption, listen } = require('socket-tuner')

async function main() {
  const settings = { SO_REUSEPORT: true, TCP_DEFER_ACCEPT: 5 }
  const servers = ['one', 'two'].map((name) =>
    http.createServer((request, response) => response.end(name)),
  )
  const { port } = await listen(servers[0], { host: '127.0.0.1', settings })
  await listen(servers[1], { host: '127.0.0.1', port, settings })
  console.log('TCP_DEFER_ACCEPT', getOption(servers[0], 'TCP_DEFER_ACCEPT'), 's')

  const answers = new Set()
  for (let i = 0; i < 100; i++) {
    const headers = { connection: 'close' }
    answers.add(await (await fetch(`http://127.0.0.1:${port}/`, { headers })).text())
  }
  console.log('answered by', [...answers].toSorted().join(' and '))
  for (const server of servers) server.close()

  try {
    await listen(http.createServer(), { host: '127.0.0.1', backlog: -1 })
    process.exitCode = 1
  } catch ({ code, message }) {
    console.log(code, '-', message)
  }
  if (answers.size !== 2) process.exitCode = 1
}

void main()
