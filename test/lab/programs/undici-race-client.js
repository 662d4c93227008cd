'use strict'

/**
 * Makes requests over kept connections through undici, each lane with pauses in between: by its request(), by its
 * fetch() or Node's with a dispatcher, or by Node's own fetch() under setGlobalDispatcher().
 */
const { setTimeout: delay } = require('node:timers/promises')
const { tunedConnector } = require('../../../dist/clients/undici')
const { inLanes } = require('./lanes')
const { config, count, ready, warnings } = require('./parent')

const { version, how = 'request', tuned = true, host = '127.0.0.1', port } = config
const { method = 'GET', requests, atATime = 32, pauseMs = 0, ca, stopAfterMs = 200_000 } = config
const { Agent, fetch: ownFetch, request, setGlobalDispatcher } = require(`undici${version}`)

const origin = ca ? `https://localhost:${port}` : `http://${host}:${port}`
const tls = ca ? { ca } : {}
const connector = tunedConnector(tls)
const dispatcher = new Agent({ connect: tuned ? connector : tls })
const seen = { answered: 0, errors: {}, warnings }

const ways = {
  request: async (url, options) => {
    const { statusCode, body } = await request(url, { ...options, dispatcher })
    return [statusCode, await body.text()]
  },
  fetch: async (url, options) => {
    const response = await ownFetch(url, { ...options, dispatcher })
    return [response.status, await response.text()]
  },
  node: async (url, options) => {
    const response = await globalThis.fetch(url, { ...options, dispatcher })
    return [response.status, await response.text()]
  },
  global: async (url, options) => {
    const response = await globalThis.fetch(url, options)
    return [response.status, await response.text()]
  },
}

async function ask(path) {
  // request() sends this body as bytes, and fetch() as a stream.
  const options = method === 'POST' ? { method, body: 'once' } : { method }
  try {
    const [status, text] = await ways[how](origin + path, options)
    if (status === 200 && text === 'ok') seen.answered++
  } catch (error) {
    const { code, message } = error.cause ?? error
    count(seen.errors, code ?? message)
  }
}

async function run() {
  if (how === 'global') setGlobalDispatcher(dispatcher)
  const begun = await inLanes({ atATime, times: requests, stopAfterMs }, async (nth) => {
    await ask(`/${nth}`)
    if (pauseMs > 0) await delay(Math.random() * pauseMs)
  })
  await dispatcher.close()
  return { ...seen, begun, counters: tuned ? connector.counters() : undefined }
}

ready({}, { run })
