'use strict'

/** Opens connections to a server that answers each with one message, and reports the messages and the protocols. */
const { once } = require('node:events')
const { connect, getOption } = require('../../../dist')
const { config, ready, warnings } = require('./parent')

const { host, port, mptcp, connections } = config

async function one() {
  const socket = connect({ host, port, mptcp })
  await once(socket, 'connect')
  // Becomes false once a peer has answered without MPTCP.
  const isMptcp = mptcp && getOption(socket, 'TCP_IS_MPTCP')
  let text = ''
  for await (const chunk of socket) text += chunk
  return { ...JSON.parse(text), isMptcp }
}

async function run() {
  const answers = []
  for (let i = 0; i < connections; i++) answers.push(await one())
  return { answers, warnings }
}

ready({}, { run })
