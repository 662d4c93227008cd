'use strict'

/** States of a request and its response in a server, to be answered by answerEarly(). */
const http = require('node:http')
const http2 = require('node:http2')
const { closeSocket, setCloseMode, tcpInfo } = require('../../../dist')
const { HOST, closed, ignore, immediate, once } = require('./scene')

const ANSWERED = 'ERR_HTTP_HEADERS_SENT'

const get = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'
const whole = 'PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody'
const upload = 'PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nbody'
const old = 'POST / HTTP/1.0\r\ncontent-length: 100\r\n\r\nbody'
const asking = 'PUT / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 100\r\n\r\n'

/** States that are tested over TLS too. The others would reach the same code there. */
const alsoOverTls = new Set([
  'with its body to come',
  'that is complete',
  'whose client has gone',
  'whose client has reset it, not noticed',
  'whose socket is destroyed',
  'whose socket is ended',
  'whose response was sent',
  'whose response is finished',
])

/** Starts a server, and connects a client to it. */
const connections = {
  http: async (scene) => {
    const server = http.createServer()
    return { server, client: scene.connect(await scene.listen(server)) }
  },
  https: async (scene) => {
    const server = await scene.httpsServer()
    return { server, client: scene.connectTls(server.address().port) }
  },
}

/**
 * States of requests over TCP, some also over TLS, each with the client's text and an action after its arrival.
 *
 * @param ends how answerEarly() ends, or the code of its error; undefined if that varies
 * @param event the event of the server that reports the request
 */
function each(name, ends, text, prepare = ignore, event = 'request') {
  const make = (kind) => async (scene, act) => {
    const { server, client } = await connections[kind](scene)
    const asked = once(server, event)
    client.resume().write(text)
    const [request, response] = await asked
    const { socket } = request
    while (text === whole && !request.complete) await immediate()
    await prepare({ request, response, socket, client })
    act({ request, response })
  }
  const kinds = alsoOverTls.has(name) ? ['http', 'https'] : ['http']
  return Object.fromEntries(
    kinds.map((kind) => [`${kind} request ${name}`, { make: make(kind), ends }]),
  )
}

/** Resets the connection, and waits until the kernel, but not Node, has noticed it. */
function resetUnnoticed({ socket, client }) {
  void closeSocket(client, 'reset')
  while (tcpInfo(socket).state !== 'CLOSE');
}

/** States within the event itself, before Node reads more. */
function within(name, ends, text) {
  const make = (kind) => async (scene, act) => {
    const { server, client } = await connections[kind](scene)
    const acted = new Promise((resolve) => {
      server.once('request', (request, response) => resolve(act({ request, response })))
    })
    client.resume().write(text)
    await acted
  }
  return Object.fromEntries(
    Object.keys(connections).map((kind) => [
      `${kind} request ${name}, in 'request'`,
      { make: make(kind), ends },
    ]),
  )
}

const overHttp1 = {
  ...within('without a body', 'kept', get),
  ...within('with its body to come', 'lingering', upload),
  ...each('without a body', 'kept', get),
  ...each('that is complete', 'kept', whole),
  ...each('with its body to come', 'lingering', upload),
  ...each('of HTTP/1.0', 'lingering', old),
  ...each('that waits for 100', 'lingering', asking, ignore, 'checkContinue'),

  ...each('that is read', 'lingering', upload, ({ request }) => request.resume()),

  ...each('that is read to its end', 'kept', whole, ({ request }) => once(request.resume(), 'end')),

  ...each('that is destroyed', 'none', upload, ({ request }) => request.destroy()),

  ...each('whose client has gone', 'none', upload, async ({ socket, client }) => {
    const over = closed(socket)
    client.destroy()
    await over
  }),

  ...each('whose client has half-closed', 'none', upload, async ({ socket, client }) => {
    const over = closed(socket)
    client.end()
    await over
  }),

  ...each('whose client has gone, not noticed', undefined, upload, ({ client }) => {
    client.destroy()
  }),

  ...each('whose client has reset it, not noticed', 'none', upload, resetUnnoticed),

  ...each(
    'that is complete, whose client has reset it, not noticed',
    'none',
    whole,
    resetUnnoticed,
  ),

  ...each('whose socket is destroyed', 'none', upload, ({ socket }) => socket.destroy()),

  ...each('that is complete, whose socket is destroyed', 'none', whole, ({ socket }) =>
    socket.destroy(),
  ),

  ...each('whose socket is closed', 'none', upload, ({ socket }) => closed(socket.destroy())),

  ...each('whose socket is ended', 'none', upload, ({ socket }) => socket.end()),

  ...each('that is complete, whose socket is ended', 'none', whole, ({ socket }) => socket.end()),

  ...each('whose socket has a close mode', 'lingering', upload, ({ socket }) => {
    setCloseMode(socket, 'deliver')
  }),

  ...each('whose socket closes by closeSocket()', 'none', upload, ({ socket }) => {
    void closeSocket(socket, { mode: 'deliver', deadlineMs: 40 })
  }),

  ...each('whose socket is reset by closeSocket()', 'none', upload, ({ socket }) => {
    void closeSocket(socket, 'reset')
  }),

  ...each('whose response is destroyed', 'none', upload, ({ response }) => response.destroy()),

  ...each('whose response has a head', ANSWERED, upload, ({ response }) => {
    response.writeHead(200)
  }),

  ...each('whose response has begun', ANSWERED, upload, ({ response }) => {
    response.write('answer')
  }),

  ...each('whose response was sent', ANSWERED, upload, ({ response }) => {
    response.end('answer')
  }),

  ...each('whose response is finished', ANSWERED, whole, async ({ response }) => {
    const finished = once(response, 'finish')
    response.end('answer')
    await finished
  }),

  ...each('whose response is closed', ANSWERED, whole, async ({ response }) => {
    const over = closed(response)
    response.end('answer')
    await over
  }),

  ...each('whose response was sent, and the connection closed', ANSWERED, whole, async (all) => {
    const over = closed(all.socket)
    all.response.setHeader('connection', 'close').end('answer')
    await over
  }),

  ...each('whose response is corked', 'kept', whole, ({ response }) => response.cork()),

  'http request behind one that is answered later': {
    ends: 'lingering',
    make: async (scene, act) => {
      const server = http.createServer()
      const port = await scene.listen(server)
      const requests = []
      const both = new Promise((resolve) => {
        server.on('request', (request, response) => {
          if (requests.push({ request, response }) === 2) resolve()
        })
      })
      scene
        .connect(port)
        .resume()
        .write(get + upload)
      await both
      act(requests[1])
      requests[0].response.end('first')
    },
  },
}

/** States of requests over HTTP/2, some also over TLS. */
function overHttp2(name, ends, prepare = ignore, headers = { ':method': 'PUT' }) {
  const make = (isSecure) => async (scene, act) => {
    const server = isSecure ? http2.createSecureServer(scene.certificate) : http2.createServer()
    const port = await scene.listen(server)
    const asked = once(server, 'request')
    const url = isSecure ? `https://localhost:${String(port)}` : `http://${HOST}:${String(port)}`
    const session = scene.keep(http2.connect(url, isSecure ? scene.trusting : {}))
    const stream = session.request(headers, { endStream: headers[':method'] !== 'PUT' })
    stream.on('error', ignore).resume()
    const [request, response] = await asked
    await prepare({ request, response, stream, session })
    act({ request, response })
  }
  const plain = { [`HTTP/2 request ${name}`]: { make: make(false), ends } }
  if (!alsoOverTls.has(name)) return plain
  return { ...plain, [`HTTP/2 request over TLS ${name}`]: { make: make(true), ends } }
}

const http2Requests = {
  ...overHttp2('with its body to come', 'stream'),
  ...overHttp2('without a body', 'stream', ignore, { ':method': 'GET' }),
  ...overHttp2('for the head', 'stream', ignore, { ':method': 'HEAD' }),

  ...overHttp2('that is complete', 'stream', async ({ request, stream }) => {
    stream.end('body')
    await once(request.resume(), 'end')
  }),

  ...overHttp2('whose client has reset it', 'none', async ({ request, stream }) => {
    const over = closed(request)
    stream.close(http2.constants.NGHTTP2_CANCEL)
    await over
  }),

  ...overHttp2('whose client resets it in this moment', undefined, ({ stream }) => {
    stream.close(http2.constants.NGHTTP2_CANCEL)
  }),

  ...overHttp2('whose client has gone', 'none', async ({ request, session }) => {
    const over = closed(request)
    session.destroy()
    await over
  }),

  ...overHttp2('whose stream is closed', 'none', ({ request }) => request.stream.close()),

  ...overHttp2('whose stream is destroyed', 'none', ({ request }) => request.stream.destroy()),

  ...overHttp2('whose session closes', 'stream', ({ request }) => request.stream.session.close()),

  ...overHttp2('whose session is destroyed', 'none', ({ request }) => {
    request.stream.session.destroy()
  }),

  ...overHttp2('whose response is destroyed', 'none', ({ response }) => response.destroy()),

  ...overHttp2('whose response has begun', ANSWERED, ({ response }) => response.write('answer')),

  ...overHttp2('that the stream has answered', ANSWERED, ({ response }) => {
    response.stream.respond({ ':status': 200 })
  }),

  ...overHttp2('whose response was sent', ANSWERED, ({ response }) => response.end('answer')),

  ...overHttp2('whose response is finished', ANSWERED, async ({ response }) => {
    const finished = once(response, 'finish')
    response.end('answer')
    await finished
  }),
}

/** States of requests that a test injects, without a connection. */
function injected(name, ends, prepare = ignore) {
  const make = async (_scene, act) => {
    const inject = require('light-my-request')
    const asked = new Promise((resolve) => {
      const handler = (request, response) => resolve({ request, response })
      inject(handler, { method: 'POST', url: '/', payload: 'body' }).catch(ignore)
    })
    const exchange = await asked
    await prepare(exchange)
    act(exchange)
    await immediate()
  }
  return { [`injected request ${name}`]: { make, ends } }
}

const injectedRequests = {
  ...injected('that is complete', 'none'),
  ...injected('that is read', 'none', ({ request }) => once(request.resume(), 'end')),
  ...injected('that is destroyed', 'none', ({ request }) => request.destroy()),
  ...injected('whose response is destroyed', 'none', ({ response }) => response.destroy()),
  ...injected('whose response has begun', ANSWERED, ({ response }) => response.write('answer')),
  ...injected('whose response was sent', ANSWERED, ({ response }) => response.end('answer')),
}

module.exports = { ...overHttp1, ...http2Requests, ...injectedRequests }
