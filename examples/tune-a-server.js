'use strict'

// An http server that closes each connection and leaves no TIME_WAIT.
const http = require('node:http')
const { once } = require('node:events')
const { tuneServer, profiles } = require('socket-tuner')

async function main() {
  const server = http.createServer((request, response) => response.end('answer\n'))
  const tuning = tuneServer(server, { settings: profiles.keepAliveServer, close: 'deliver' })
  server.listen(0, '127.0.0.1')
  console.log(await tuning.applied)

  const url = `http://127.0.0.1:${server.address().port}/`
  for (let i = 0; i < 10; i++) {
    const request = http.get(url, { agent: false, headers: { connection: 'close' } })
    const [response] = await once(request, 'response')
    response.resume()
    await once(response, 'close')
  }
  server.close()
  await once(server, 'close')
  console.log(tuning.counters())
  const { closes } = tuning.counters()
  if (closes.deliver + closes.fin !== 10) process.exitCode = 1
}

void main()
