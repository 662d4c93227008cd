'use strict'

// Run by test/clients/http-min-idle.test.ts: opens minIdle connections to a port, or fails to, and must then exit.
const { TunedAgent } = require('../../dist/clients/http')

const agent = new TunedAgent({ minIdle: 2 })
agent.warm({ host: '127.0.0.1', port: Number(process.argv[2]) }).then(
  () => console.log('ready'),
  ({ code }) => console.log(code),
)
