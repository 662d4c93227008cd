'use strict'

/**
 * An HTTP server that answers after delays of a known distribution, log-uniform from 20 to 500 ms. The delays
 * are a low-discrepancy sequence, so the percentiles of some thousands of them are those of the distribution.
 * Timers have a resolution of 1 ms, so the last milliseconds are spent in turns of the event loop.
 */
const http = require('node:http')

const SHORTEST_MS = 20
const LONGEST_MS = 500
const GOLDEN = (Math.sqrt(5) - 1) / 2
const TIMER_MS = 3

/** Returns the delay that a share of all delays does not exceed. */
function quantile(share) {
  return SHORTEST_MS * (LONGEST_MS / SHORTEST_MS) ** share
}

function serve() {
  let count = 0
  let due = []
  const turn = () => {
    const now = performance.now()
    due = due.filter(({ atMs, response }) => {
      if (atMs > now) return true
      response.end('x')
      return false
    })
    if (due.length > 0) setImmediate(turn)
  }
  const server = http.createServer((_request, response) => {
    const atMs = performance.now() + quantile((count++ * GOLDEN) % 1)
    const wait = () => {
      due.push({ atMs, response })
      if (due.length === 1) setImmediate(turn)
    }
    setTimeout(wait, Math.max(0, atMs - performance.now() - TIMER_MS))
  })
  server.listen({ host: '127.0.0.1', port: 0, backlog: 4_096 }, () => {
    process.send({ port: server.address().port })
  })
  process.on('disconnect', () => process.exit())
}

if (require.main === module) serve()

module.exports = { quantile }
