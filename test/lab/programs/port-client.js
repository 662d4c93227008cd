'use strict'

/** Opens connections until one fails. Closes each at once with a FIN, or keeps them all open. */
const net = require('node:net')
const { connect, SourcePool } = require('../../../dist')
const { portWaitTotals } = require('../../../dist/ports')
const { inLanes } = require('./lanes')
const { config, ready } = require('./parent')

const { way, host = '127.0.0.1', ports, options = {}, sources, hold = false, count } = config
const { atATime = 16, stopAfterMs = 200_000 } = config
const source = sources && new SourcePool(sources)
const seen = { made: 0, open: 0 }

function open(port) {
  const all = { host, port, ...options }
  return way === 'net.connect' ? net.connect(all) : connect(source ? { ...all, source } : all)
}

function one(port) {
  return new Promise((resolve) => {
    const socket = open(port)
    let connected = false
    socket.on('connect', () => {
      connected = true
      seen.made++
      seen.open++
      if (hold) resolve()
      else socket.destroy()
    })
    socket.on('error', ({ name, code, syscall, message, space, timeWait, address }) => {
      seen.error ??= { name, code, syscall, message, space, timeWait, address }
    })
    socket.on('close', () => {
      if (connected) seen.open--
      resolve()
    })
  })
}

async function run() {
  const begun = await inLanes({ atATime, times: count, stopAfterMs }, async (nth) => {
    await one(ports[nth % ports.length])
    return !seen.error
  })
  return { ...seen, begun, usage: source?.usage(host, ports[0]) }
}

ready({}, { run, waits: () => portWaitTotals() })
