'use strict'

// Run by test/target.test.ts: a cluster whose only worker listens. It reports as JSON how
// socket-tuner treats its server and a connection that it accepts.
const cluster = require('node:cluster')
const { once } = require('node:events')
const net = require('node:net')
const { getOption, setOption, tune } = require('../../dist')

if (process.argv[2] === 'none') cluster.schedulingPolicy = cluster.SCHED_NONE

function outcomeOf(call) {
  try {
    return { value: call() }
  } catch ({ name, code, message }) {
    return { name, code, message }
  }
}

async function work() {
  const server = net.createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const connection = once(server, 'connection')
  const client = net.connect(server.address().port, '127.0.0.1')
  const [accepted] = await connection
  process.send({
    get: outcomeOf(() => getOption(server, 'SO_ACCEPTCONN')),
    set: outcomeOf(() => setOption(server, 'TCP_NODELAY', true)),
    tune: outcomeOf(() => tune(server, { TCP_NODELAY: true })),
    accepted: outcomeOf(() => tune(accepted, { TCP_KEEPIDLE: 33 })),
  })
  client.destroy()
  accepted.destroy()
  server.close()
  process.disconnect()
}

if (cluster.isPrimary) {
  cluster.fork().on('message', (message) => {
    process.stdout.write(JSON.stringify(message))
  })
} else {
  work()
}
