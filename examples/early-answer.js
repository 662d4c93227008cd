'use strict'

// A 413 that arrives even though the client keeps uploading and reads the answer only afterwards.
const http = require('node:http')
const net = require('node:net')
const { once } = require('node:events')
const { answerEarly, listen } = require('socket-tuner')

const LIMIT = 1_000_000

async function main() {
  const server = http.createServer((request, response) => {
    if (Number(request.headers['content-length']) <= LIMIT) {
      request.resume().on('end', () => response.end('thank you\n'))
      return
    }
    answerEarly(request, response, { status: 413, body: 'too large\n' }).then(console.log)
  })
  const { port } = await listen(server, { host: '127.0.0.1' })

  const client = net.connect(port, '127.0.0.1').pause().setEncoding('utf8')
  let answer = ''
  client.on('data', (text) => (answer += text))
  client.write('PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000000\r\n\r\n')
  client.write(Buffer.alloc(20_000_000), () => client.resume())
  await once(client, 'close')
  console.log(answer)
  server.close()
  if (!answer.endsWith('too large\n')) process.exitCode = 1
}

void main()
