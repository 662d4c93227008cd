'use strict'

// autocannon with one request per connection. With tuning, it leaves no TIME_WAIT and does not run out of ports.
// The connections of worker threads are tuned too.
const http = require('node:http')
const { once } = require('node:events')
const { tunedAutocannon } = require('socket-tuner/autocannon')

async function main() {
  const server = http.createServer((request, response) => response.end('answer'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  const { errors, sockets } = await tunedAutocannon(
    {
      url: `http://127.0.0.1:${server.address().port}`,
      connections: 8,
      amount: 2000,
      reconnectRate: 1,
      workers: 2,
    },
    { settings: { SO_RCVBUF: 65536, TCP_NODELAY: true }, close: 'deliver' },
  )
  const { created, closes, failures } = sockets
  console.log({ errors, created, closes })
  for (const [code, { count, message }] of Object.entries(failures))
    console.log(`${count} connections failed with ${code}: ${message}`)
  server.close()
  if (errors > 0 || created !== 2000) process.exitCode = 1
  if (process.platform === 'linux' && closes.deliver !== created) process.exitCode = 1
}

void main()
