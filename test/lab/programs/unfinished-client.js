'use strict'

/** Never ends its side: sends a little at first, and with `everyMs` continues forever. */
const net = require('node:net')
const { config, ready } = require('./parent')

const { host = '127.0.0.1', port, everyMs } = config

const socket = net.connect({ host, port, allowHalfOpen: true })
socket.write('x')
if (everyMs !== undefined) setInterval(() => socket.write('x'), everyMs)
socket.resume()

// Until the server resets the connection.
const error = new Promise((resolve) => socket.on('error', ({ code }) => resolve(code)))

ready({}, { error: () => error })
