'use strict'

/** Runs autocannon, tuned or not. */
const autocannon = require('autocannon')
const { tunedAutocannon } = require('../../../dist/clients/autocannon')
const { config, ready, warnings } = require('./parent')

async function run() {
  const { port, protocol = 'http', options, tuning } = config
  const all = { url: `${protocol}://127.0.0.1:${port}`, ...options }
  const result = await (tuning ? tunedAutocannon(all, tuning) : autocannon(all))
  return { errors: result.errors, sent: result.requests.sent, sockets: result.sockets, warnings }
}

ready({}, { run })
