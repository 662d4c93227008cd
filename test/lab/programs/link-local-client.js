'use strict'

/** Connects in each way from a link-local address to another: which addresses it sees itself, and the server. */
const http = require('node:http')
const { RawSocket, SourcePool, connect } = require('../../../dist')
const { TunedAgent } = require('../../../dist/clients/http')
const { tunedConnector } = require('../../../dist/clients/undici')
const { config, ready } = require('./parent')

const { host, port, source } = config
const to = { host, port }

/** A connection made by `createConnection`, and what the server says of it. */
function over(options) {
  return new Promise((resolve, reject) => {
    const request = http.get({ host, port, ...options }, (response) => {
      const { localAddress, remoteAddress } = response.socket
      let text = ''
      response.setEncoding('utf8').on('data', (data) => (text += data))
      response.on('end', () => {
        request.destroy()
        resolve({ local: localAddress, remote: remoteAddress, server: JSON.parse(text) })
      })
    })
    request.on('error', reject)
  })
}

function undici() {
  return new Promise((resolve, reject) => {
    const asked = { protocol: 'http:', hostname: host, port: String(port), localAddress: source }
    tunedConnector()(asked, (error, socket) => {
      if (error === null) resolve(over({ createConnection: () => socket }))
      else reject(error)
    })
  })
}

const pool = new SourcePool([source])

async function run() {
  const ways = {
    localAddress: () => over({ createConnection: () => connect({ ...to, localAddress: source }) }),
    source: () => over({ createConnection: () => connect({ ...to, source }) }),
    SourcePool: () => over({ createConnection: () => connect({ ...to, source: pool }) }),
    TunedAgent: () => over({ agent: new TunedAgent({ source }) }),
    tunedConnector: undici,
    RawSocket: () => {
      const raw = RawSocket.open('IPv6').bind({ address: source })
      return over({ createConnection: () => raw.connect(to) })
    },
  }
  const seen = {}
  for (const [way, connection] of Object.entries(ways)) seen[way] = await connection()
  return { seen, usage: pool.usage(host, port) }
}

/** What a RawSocket says of the address that it is bound to. */
function bound(address) {
  const raw = RawSocket.open('IPv6').bind({ address })
  const { localAddress } = raw
  raw.close()
  return localAddress.address
}

ready({}, { run, bound })
