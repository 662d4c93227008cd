'use strict'

// Started by run-cli.ts. Runs the built command with the arguments of each message, always in this process. Only for
// commands that print at once: output of later turns of the event loop is lost.
const { join } = require('node:path')

const MAIN = join(__dirname, '..', '..', 'dist', 'cli', 'main.js')

process.on('message', (args) => {
  const written = { stdout: '', stderr: '' }
  const restore = Object.keys(written).map((name) => {
    const stream = process[name]
    const { write } = stream
    stream.write = (text) => {
      written[name] += text
      return true
    }
    return () => {
      stream.write = write
      stream.removeAllListeners('error')
    }
  })
  process.argv = [process.execPath, MAIN, ...args]
  process.exitCode = undefined
  delete require.cache[MAIN]
  require(MAIN)
  setImmediate(() => {
    for (const undo of restore) undo()
    process.send({ code: process.exitCode ?? null, signal: null, ...written })
    process.exitCode = 0
  })
})
