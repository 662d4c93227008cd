'use strict'

/**
 * Opens connections with one request each at a steady rate, and makes requests on kept connections at the same time,
 * until it is stopped. Does not retry: each failure counts.
 */
const http = require('node:http')
const { inLanes } = require('./lanes')
const { config, ready, count } = require('./parent')

const { host, port, perSecond = 0, kept = 0, keptPauseMs = 20, method = 'GET' } = config
const TICK_MS = 10
/** Limits the connections at a time: a machine that is too slow for the rate makes fewer. */
const MOST_UNDER_WAY = 200

const seen = { answered: 0, onKept: 0, failed: {}, pids: {} }
const agents = Array.from(
  { length: kept },
  () => new http.Agent({ keepAlive: true, maxSockets: 1 }),
)
let running = true
let underWay = 0

/** Never rejects. */
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

/** Makes up for late ticks, as far as the machine can. */
function openSteadily() {
  let last = performance.now()
  let due = 0
  const timer = setInterval(() => {
    if (!running) return clearInterval(timer)
    const now = performance.now()
    due = Math.min(due + ((now - last) * perSecond) / 1000, MOST_UNDER_WAY - underWay)
    last = now
    for (; due >= 1; due--) void ask({ agent: false, headers: { connection: 'close' } })
  }, TICK_MS)
}

openSteadily()
for (const agent of agents) void keepAsking(agent)

ready('asking', {
  seen: () => ({ ...seen, underWay }),
  /** Makes requests at the same time, each on its own connection. */
  burst: ({ times, path }) => {
    for (let i = 0; i < times; i++) void ask({ agent: false, path })
  },
  stop: () => (running = false),
  /** Makes a number of connections with a limit at a time, and returns their outcomes. */
  connections: async ({ times, atATime }) => {
    await inLanes({ atATime, times }, () => ask({ agent: false, headers: { connection: 'close' } }))
    return seen
  },
})
