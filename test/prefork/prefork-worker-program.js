'use strict'

// Run by test/prefork/prefork.test.ts: as the `exec` of a group it serves; by itself it starts a worker of
// node:cluster, which prefork() has not started, and writes with what code it is refused.
const cluster = require('node:cluster')
const http = require('node:http')
const { prefork } = require('../../dist/prefork')

function serve(worker) {
  const who = { pid: process.pid, slot: worker.slot, arguments: process.argv.slice(2) }
  return worker.listen(http.createServer((_request, response) => response.end(JSON.stringify(who))))
}

if (cluster.isPrimary) {
  cluster.fork().on('message', (code) => process.stdout.write(code))
} else {
  prefork({ serve }).catch(({ code }) => process.send(code, () => process.exit()))
}
