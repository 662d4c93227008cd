'use strict'

/** A thread that loads the addon twice, uses it, and ends with open descriptors and a count in progress. */
const vm = require('node:vm')
const { parentPort } = require('node:worker_threads')
// Not the whole library: loading it would take longer than everything else in this thread.
const { addonFile } = require('../../../dist/kernel/addon')
const { RawSocket } = require('../../../dist/connect/raw-socket')
const { tcpInfo } = require('../../../dist/observe/tcp-info')
const { countSockets } = require('../../../dist/ports/count-sockets')

const raw = RawSocket.open(4, { TCP_NODELAY: true })
tcpInfo(raw)

// Loads the addon again in another context, which frees what it owns when the context ends.
const holder = { exports: {} }
const path = addonFile()
const context = vm.createContext({ process, holder, path })
vm.runInContext('process.dlopen(holder, path)', context)
const { constants, openSocket, ownFd } = holder.exports
const fd = openSocket(constants.AF_INET, constants.SOCK_STREAM, 0)
globalThis.owner = vm.runInContext('({})', context)
if (ownFd(fd, globalThis.owner) !== 0) throw new Error('the descriptor was not taken')

void countSockets()
parentPort.postMessage('in use')
