'use strict'

/**
 * Connects, and blocks its event loop until its standard input has data, so that it does not notice before
 * then that connect() is complete. Then it prints the outcome.
 */
const { readSync } = require('node:fs')
const net = require('node:net')

const client = net.connect(Number(process.argv[2]), '127.0.0.1')
const seen = { bytes: 0, ended: false, error: undefined }
client.on('data', ({ length }) => (seen.bytes += length))
client.on('end', () => (seen.ended = true))
client.on('error', ({ code }) => (seen.error = code))
client.on('close', () => console.log(JSON.stringify(seen)))
// connect(2) was called in the previous tick.
process.nextTick(() => readSync(0, Buffer.alloc(1)))
