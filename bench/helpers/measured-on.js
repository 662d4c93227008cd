'use strict'

const { cpus, release } = require('node:os')

/** Returns where and when figures are measured, as the files of results/ have it. */
function measuredOn() {
  return {
    date: new Date().toISOString().slice(0, 10),
    kernel: kernel(),
    node: process.version,
    processors: cpus().length,
  }
}

/** Returns the major and minor version of the kernel, without the name of a vendor's build. */
function kernel() {
  const [version] = /^\d+\.\d+/.exec(release()) ?? [release()]
  return `Linux ${version}`
}

module.exports = { kernel, measuredOn }
