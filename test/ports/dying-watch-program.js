'use strict'

/** Goes on when its watch dies, which the kernel's refusal is played for. */
const { native } = require('../../dist/binding')
const { watchPorts } = require('../../dist')

const EPERM = 1
native.dumpSockets = () => -EPERM
const watch = watchPorts({ destinations: [{ remoteAddress: '127.0.0.1', remotePort: 9 }] })
setTimeout(() => {
  if (!watch.running) console.log('alive')
}, 50)
