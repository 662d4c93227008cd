'use strict'

/**
 * Ordinary tests of an Express and a Fastify application, each with its own server. Prints the result of each test, to
 * compare runs with and without socket-tuner/register.
 */
const assert = require('node:assert')
const { once } = require('node:events')
const http = require('node:http')
const { createRequire } = require('node:module')
const net = require('node:net')
const express = require('express')
const fastify = require('fastify')

const request = createRequire(process.argv[2])('supertest')

function expressApp() {
  const app = express()
  app.use(express.json({ limit: 1000 }))
  app.get('/text', (q, r) => r.send('text'))
  app.post('/echo', (q, r) => r.status(201).json(q.body))
  app.get('/to', (q, r) => r.redirect('/text'))
  app.get('/cookie', (q, r) => r.cookie('a', 'b').end())
  app.get('/large', (q, r) => r.send('x'.repeat(3_000_000)))
  app.get('/stream', (q, r) => {
    let left = 50
    const next = () => (left-- > 0 ? r.write('y'.repeat(10_000), next) : r.end())
    next()
  })
  app.get('/file', (q, r) => r.sendFile(__filename))
  app.get('/fails', () => {
    throw Object.assign(new Error('no'), { status: 418 })
  })
  app.get('/cut', (q, r) => {
    r.write('half')
    setImmediate(() => r.destroy())
  })
  app.use((error, q, r, next) => {
    if (r.headersSent) next(error)
    else r.status(error.status ?? 500).send(error.message)
  })
  return app
}

const tests = {
  text: () => request(expressApp()).get('/text').expect(200, 'text'),
  json: () =>
    request(expressApp())
      .post('/echo')
      .send({ a: [1, 2] })
      .expect(201, { a: [1, 2] }),
  'too large': () =>
    request(expressApp())
      .post('/echo')
      .send({ a: 'x'.repeat(5000) })
      .expect(413),
  malformed: () => request(expressApp()).post('/echo').type('json').send('{').expect(400),
  redirect: () => request(expressApp()).get('/to').redirects(1).expect(200, 'text'),
  cookie: () => request(expressApp()).get('/cookie').expect('set-cookie', 'a=b; Path=/'),
  large: () => request(expressApp()).get('/large').expect('content-length', '3000000'),
  stream: () => request(expressApp()).get('/stream').expect(200),
  file: () => request(expressApp()).get('/file').expect(200),
  fails: () => request(expressApp()).get('/fails').expect(418, 'no'),
  missing: () => request(expressApp()).get('/missing').expect(404),
  head: () => request(expressApp()).head('/text').expect(200),
  cut: () =>
    request(expressApp())
      .get('/cut')
      .then(
        () => assert.fail('must not be complete'),
        ({ code }) => ({ text: code }),
      ),
  'one connection for all': async () => {
    const server = expressApp().listen(0)
    let connections = 0
    server.on('connection', () => connections++)
    await once(server, 'listening')
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    const { port } = server.address()
    for (let turn = 0; turn < 5; turn++) {
      const asked = http.get({ port, path: '/text', agent })
      const [response] = await once(asked, 'response')
      response.resume()
      await once(response, 'end')
      if (!asked.closed) await once(asked, 'close')
    }
    agent.destroy()
    server.close()
    await once(server, 'close')
    return { text: `${connections} connection` }
  },
  'a client that goes away': async () => {
    const server = expressApp().listen(0)
    await once(server, 'listening')
    const closed = new Promise((resolve) => {
      server.on('connection', (socket) => socket.on('close', resolve))
    })
    const client = net.connect(server.address().port)
    client.write('POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf')
    await once(client, 'connect')
    client.destroy()
    await closed
    server.close()
    await once(server, 'close')
    return { text: 'closed' }
  },
  'no server': async () => {
    const [error] = await once(http.get('http://127.0.0.1:1'), 'error')
    return { text: `${error.code} ${error.message}` }
  },
  'fastify, injected': async () => {
    const app = fastify()
    app.get('/', async () => ({ a: 1 }))
    const { statusCode, body } = await app.inject('/')
    await app.close()
    return { status: statusCode, text: body }
  },
  'fastify, fetched': async () => {
    const app = fastify({ forceCloseConnections: true })
    app.get('/', async () => ({ a: 1 }))
    app.post('/', { schema: { body: { type: 'object', required: ['b'] } } }, async () => 'b')
    const url = await app.listen({ port: 0, host: '127.0.0.1' })
    const good = await (await fetch(url)).text()
    const headers = { 'content-type': 'application/json' }
    const bad = await fetch(url, { method: 'POST', headers, body: '{}' })
    const text = `${good} ${bad.status} ${await bad.text()}`
    await app.close()
    return { text }
  },
}

async function main() {
  for (const [name, test] of Object.entries(tests)) {
    let outcome
    try {
      const { status, text } = await test()
      outcome = `passed: ${status} ${text?.length} ${text?.slice(0, 60)}`
    } catch (error) {
      outcome = `failed: ${error.message}`
    }
    console.log(`${name}: ${outcome}`)
  }
}

void main()
