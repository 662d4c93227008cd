'use strict'

// Run by test/clients/undici.test.ts: calls fetch of the given undici release, and Node's own, with
// the same dispatcher. Prints the IP_TTL of their connections as JSON.
const http = require('node:http')
const { once } = require('node:events')
const { getOption } = require('../../dist')
const { tunedConnector } = require('../../dist/clients/undici')
const undici = require(`undici${process.argv[2]}`)

async function main() {
  const server = http.createServer((request, response) => response.end('answer'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${server.address().port}/`
  const sockets = []
  const connector = tunedConnector({ settings: { IP_TTL: 61 } })
  const connect = (parameters, callback) => {
    const socket = connector(parameters, callback)
    sockets.push(socket)
    return socket
  }
  const agent = new undici.Agent({ connect })
  undici.setGlobalDispatcher(agent)
  const seen = {}
  for (const [name, fetch] of [
    ['undici', undici.fetch],
    ['node', globalThis.fetch],
  ]) {
    const response = await fetch(url)
    await response.text()
    seen[name] = getOption(sockets.at(-1), 'IP_TTL')
  }
  await agent.close()
  server.close()
  process.stdout.write(JSON.stringify(seen))
}

void main()
