'use strict'

/** Sends one empty datagram to each of many destinations on loopback. */
const dgram = require('node:dgram')
const { promisify } = require('node:util')
const { config, ready } = require('./parent')

const { count } = config
const AT_A_TIME = 500
/** The number of datagrams to each address, from port 1 on. */
const PORTS = 50_000

async function run() {
  const socket = dgram.createSocket('udp4')
  const send = promisify(socket.send.bind(socket))
  const nothing = Buffer.alloc(0)
  for (let sent = 0; sent < count; sent += AT_A_TIME) {
    const batch = Array.from({ length: AT_A_TIME }, (_, index) => {
      const number = sent + index
      return send(nothing, 1 + (number % PORTS), `127.1.1.${1 + Math.floor(number / PORTS)}`)
    })
    await Promise.all(batch)
  }
  socket.close()
}

ready({}, { run })
