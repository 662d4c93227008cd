'use strict'

// An https server whose options are set before bind(2). Its 413 arrives over TLS too, and it leaves no TIME_WAIT.
const https = require('node:https')
const tls = require('node:tls')
const { execFileSync } = require('node:child_process')
const { once } = require('node:events')
const { answerEarly, getOption, listen } = require('socket-tuner')
const { countSockets } = require('socket-tuner/ports')

const LIMIT = 1_000_000
// A loopback address that only this program uses, so that only its own sockets are counted.
const host = '127.0.0.23'

async function main() {
  const certificate = selfSigned()
  const server = https.createServer(
    { key: certificate, cert: certificate },
    (request, response) => {
      if (Number(request.headers['content-length']) > LIMIT)
        answerEarly(request, response, { status: 413, body: 'too large\n' })
      else response.end('answer\n')
    },
  )
  const settings = { TCP_KEEPIDLE: 60, TCP_DEFER_ACCEPT: 5 }
  const { port } = await listen(server, { host, settings, close: 'deliver' })
  console.log('TCP_KEEPIDLE', getOption(server, 'TCP_KEEPIDLE'), 's')

  for (let i = 0; i < 20; i++) await send(port, certificate, 'GET / HTTP/1.1')
  const timeWait = await countSockets({
    states: ['TIME_WAIT'],
    localAddress: host,
    localPort: port,
  })
  console.log('20 requests on connections of their own left TIME_WAIT:', timeWait.total)

  const upload = 'PUT / HTTP/1.1\r\nContent-Length: 20000000'
  const answer = await send(port, certificate, upload, Buffer.alloc(20_000_000))
  console.log(answer)
  server.close()
  if (timeWait.total > 0 || !answer.endsWith('too large\n')) process.exitCode = 1
}

/** Reads the answer only after everything is written, until the server closes. */
async function send(port, ca, head, body = Buffer.alloc(0)) {
  const client = tls.connect({ host, port, ca }).pause().setEncoding('utf8')
  let answer = ''
  client.on('data', (text) => (answer += text))
  const request = Buffer.from(`${head}\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
  client.write(Buffer.concat([request, body]), () => client.resume())
  await once(client, 'close')
  return answer
}

/** Returns a key and its certificate in one text. */
function selfSigned() {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const name = ['-subj', '/CN=localhost', '-addext', `subjectAltName=IP:${host}`, '-days', '2']
  const args = ['req', '-x509', ...key, ...name, '-keyout', '-', '-out', '-']
  return execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'] })
}

void main()
