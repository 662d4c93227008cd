'use strict'

/** Continues after its watch has ended with a simulated refusal of the kernel, although its promise is not handled. */
const { subscribe } = require('node:diagnostics_channel')
const { native } = require('../../dist/kernel/binding')
const { watchPorts } = require('../../dist/ports')

const EPERM = 1
native.dumpSockets = () => -EPERM
subscribe('socket-tuner:ports-ended', ({ watch }) => {
  // An unhandled rejection would end the process before this.
  setImmediate(() => console.log(watch.running ? 'running' : 'alive'))
})
watchPorts({ destinations: [{ remoteAddress: '127.0.0.1', remotePort: 9 }] })
