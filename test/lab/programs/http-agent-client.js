'use strict'

/** Makes requests through one agent, `TunedAgent` or Node's own, each lane with pauses in between. */
const http = require('node:http')
const https = require('node:https')
const { setTimeout: delay } = require('node:timers/promises')
const { TunedAgent, TunedHttpsAgent } = require('../../../dist/clients/http')
const { inLanes } = require('./lanes')
const { config, count, ready, warnings } = require('./parent')

const { host = '127.0.0.1', port, method = 'GET', requests, ca, tuned = true } = config
const { options, atATime = 32, pauseMs = 0, stopAfterMs = 200_000 } = config
const [{ request, Agent }, Tuned] = ca ? [https, TunedHttpsAgent] : [http, TunedAgent]

const trust = ca ? { ca, servername: 'localhost' } : {}
const agent = new (tuned ? Tuned : Agent)({ keepAlive: true, ...trust, ...options })
const seen = { answered: 0, errors: {}, warnings }

function ask(path) {
  return new Promise((resolve) => {
    const fail = ({ code, message }) => {
      count(seen.errors, code ?? message)
      resolve()
    }
    const asking = request({ host, port, path, method, agent }, (response) => {
      response.resume()
      response.on('error', fail)
      response.on('end', () => {
        if (response.statusCode === 200 && response.complete) seen.answered++
      })
    })
    asking.on('error', fail)
    asking.on('close', resolve)
    asking.end()
  })
}

async function run() {
  const begun = await inLanes({ atATime, times: requests, stopAfterMs }, async (nth) => {
    await ask(`/${nth}`)
    if (pauseMs > 0) await delay(Math.random() * pauseMs)
  })
  agent.destroy()
  return { ...seen, begun, counters: tuned ? agent.counters() : undefined }
}

ready({}, { run })
