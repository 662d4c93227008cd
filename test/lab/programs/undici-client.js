'use strict'

/**
 * Makes requests through undici, each on its own connection, which undici closes: by an agent that sends
 * `Connection: close`, or by one client per request that is closed after its answer.
 */
const { tunedConnector } = require('../../../dist/clients/undici')
const { inLanes } = require('./lanes')
const { config, count, ready, warnings } = require('./parent')

const { version, tuned = true, how = 'agent', host = '127.0.0.1', port, requests } = config
const { ca, allowH2 = false, atATime = 32, stopAfterMs = 200_000 } = config
const { Agent, Client, request } = require(`undici${version}`)

const origin = ca ? `https://localhost:${port}` : `http://${host}:${port}`
const tls = ca ? { ca, allowH2 } : {}
// undici's own connector, without tuning.
const connect = tuned ? tunedConnector(tls) : tls
const seen = { answered: 0, errors: {}, warnings }

async function ask(dispatcher) {
  const { statusCode, body } = await request(`${origin}/`, { dispatcher })
  const text = await body.text()
  if (statusCode === 200 && text.length === 1000) seen.answered++
}

async function askByClient() {
  const client = new Client(origin, { connect, allowH2 })
  await ask(client)
  await client.close()
}

async function run() {
  const agent = new Agent({ connect, pipelining: 0 })
  await inLanes({ atATime, times: requests, stopAfterMs }, async () => {
    const done = how === 'agent' ? ask(agent) : askByClient()
    await done.catch(({ code, message }) => count(seen.errors, code ?? message))
  })
  await agent.close()
  return seen
}

ready({}, { run })
