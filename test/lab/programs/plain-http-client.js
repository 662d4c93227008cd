'use strict'

/** Makes requests by Node's own agents, and reports process warnings. register is loaded by --require. */
const http = require('node:http')
const https = require('node:https')
const { text } = require('node:stream/consumers')
const { closeTotals } = require('../../../dist')
const { config, ready } = require('./parent')

const agents = [
  new http.Agent({ keepAlive: true }),
  new https.Agent({ keepAlive: true, ca: config.ca, servername: 'localhost' }),
]
const warnings = []
process.on('warning', ({ message }) => warnings.push(message))

/** Returns the answers of the server and the warnings during the requests. */
function get(url) {
  const [plain, secure] = agents
  return new Promise((resolve, reject) => {
    const request = url.startsWith('https:')
      ? https.get(url, { agent: secure })
      : http.get(url, { agent: plain })
    request.on('error', reject)
    request.on('response', (response) => {
      text(response).then((answer) => {
        resolve({ answer, warnings: warnings.splice(0) })
      }, reject)
    })
  })
}

function close() {
  for (const agent of agents) agent.destroy()
}

ready({}, { get, close, totals: () => closeTotals() })
