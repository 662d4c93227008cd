'use strict'

/**
 * Makes connections with one request each at a steady rate, and requests over kept connections beside
 * them, until it is told to stop. Nothing is tried a second time: each failure counts.
 */
const http = require('node:http')
const { config, ready, count } = require('./parent')

const { host, port, perSecond = 0, kept = 0, keptPauseMs = 20, method = 'GET' } = config
const TICK_MS = 10

const seen = { answered: 0, onKept: 0, failed: {}, pids: {} }
const agents = Array.from(
  { length: kept },
  () => new http.Agent({ keepAlive: true, maxSockets: 1 }),
)
let running = true
let underWay = 0

/** Resolves in any case. */
function ask(options) {
  underWay++
  return new Promise((resolve) => {
    const over = (code) => {
      underWay--
      if (code !== undefined) count(seen.failed, code)
      resolve()
    }
    const request = http.request({ host, port, method, ...options }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part) => (text += part))
      response.on('error', () => undefined)
      response.on('close', () => {
        if (!response.complete) return over('incomplete')
        if (response.statusCode !== 200) return over(`status ${response.statusCode}`)
        count(seen.pids, JSON.parse(text).pid)
        seen.answered++
        if (request.reusedSocket) seen.onKept++
        over()
      })
    })
    request.on('error', ({ code, message }) => over(code ?? message))
    request.end()
  })
}

async function keepAsking(agent) {
  while (running) {
    await ask({ agent })
    await new Promise((resolve) => setTimeout(resolve, keptPauseMs))
  }
  agent.destroy()
}

/** Catches up when a tick comes late. */
function openSteadily() {
  const start = performance.now()
  let opened = 0
  const timer = setInterval(() => {
    if (!running) return clearInterval(timer)
    const due = ((performance.now() - start) * perSecond) / 1000
    for (; opened < due; opened++) void ask({ agent: false, headers: { connection: 'close' } })
  }, TICK_MS)
}

openSteadily()
for (const agent of agents) void keepAsking(agent)

ready('asking', {
  seen: () => ({ ...seen, underWay }),
  /** Asks so many times at once, each on a connection of its own. */
  burst: ({ times, path }) => {
    for (let i = 0; i < times; i++) void ask({ agent: false, path })
  },
  stop: () => (running = false),
  /** So many connections, so many at a time, and what came of them. */
  connections: async ({ times, atATime }) => {
    let begun = 0
    const lane = async () => {
      while (begun++ < times) await ask({ agent: false, headers: { connection: 'close' } })
    }
    await Promise.all(Array.from({ length: atATime }, lane))
    return seen
  },
})
