'use strict'

// Run by test/prefork/prefork.test.ts. As the `exec` of a group it serves. Otherwise it starts a worker of
// node:cluster, in which prefork() must be refused, and prints the code of the error.
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
