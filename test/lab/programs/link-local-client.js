'use strict'

/** Connects in each way between link-local addresses, and reports the addresses that client and server see. */
const http = require('node:http')
const net = require('node:net')
const { RawSocket, SourcePool, connect } = require('../../../dist')
const { TunedAgent } = require('../../../dist/clients/http')
const { tunedConnector } = require('../../../dist/clients/undici')
const { config, ready } = require('./parent')

const { host, port, source, ways } = config
const to = { host, port }

/** Returns the addresses of a connection of `createConnection`, and the addresses that the server reports. */
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
const [, zone] = source.split('%')
/** Not an address of this host. The first address of a list is tried first. */
const OTHER = 'fe80::dead'

async function run() {
  const all = {
    localAddress: () => over({ createConnection: () => connect({ ...to, localAddress: source }) }),
    source: () => over({ createConnection: () => connect({ ...to, source }) }),
    SourcePool: () => over({ createConnection: () => connect({ ...to, source: pool }) }),
    TunedAgent: () => over({ agent: new TunedAgent({ source }) }),
    tunedConnector: undici,
    'a list': () =>
      over({ createConnection: () => connect({ ...to, source: [source, `${OTHER}%${zone}`] }) }),
    // If register is loaded, it chooses the source of these.
    'net.connect, localAddress': () =>
      over({ createConnection: () => net.connect({ ...to, localAddress: source }) }),
    'net.connect': () => over({ createConnection: () => net.connect(to) }),
    RawSocket: () => {
      const raw = RawSocket.open('IPv6').bind({ address: source })
      return over({ createConnection: () => raw.connect(to) })
    },
  }
  const seen = {}
  for (const way of ways) seen[way] = await all[way]()
  return { seen, usage: pool.usage(host, port) }
}

/** Returns the local address that a bound RawSocket reports. */
function bound(address) {
  const raw = RawSocket.open('IPv6').bind({ address })
  const { localAddress } = raw
  raw.close()
  return localAddress.address
}

ready({}, { run, bound })
