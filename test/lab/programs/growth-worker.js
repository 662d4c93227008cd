'use strict'

/** A thread that uses the addon, loaded twice, and leaves descriptors and a census behind when it ends. */
const vm = require('node:vm')
const { parentPort } = require('node:worker_threads')
// Not the whole library, which takes longer to load than the rest of a thread's life.
const { addonFile } = require('../../../dist/kernel/addon')
const { RawSocket } = require('../../../dist/connect/raw-socket')
const { tcpInfo } = require('../../../dist/observe/tcp-info')
const { countSockets } = require('../../../dist/ports/count-sockets')

const raw = RawSocket.open(4, { TCP_NODELAY: true })
tcpInfo(raw)

// Once more, in a context of its own: with it goes what is owned there.
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
