#!/usr/bin/env node
/** The socket-tuner command. Exit codes: 0 it ran, 1 it failed, 2 it was called wrongly. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { UsageError, parseCommand, usage, type Command } from './arguments'
import { runDemo } from './demo/command'
import { runDoctor } from './doctor-command'
import { printOptions } from './options-command'
import { runTop } from './top/command'

function version(): string {
  const file = join(__dirname, '..', '..', 'package.json')
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

async function run(command: Command): Promise<number> {
  switch (command.name) {
    case 'help':
      process.stdout.write(usage)
      return 0
    case 'version':
      console.log(version())
      return 0
    case 'options':
      printOptions(command.option, command.json)
      return 0
    case 'demo':
      return runDemo(command)
    case 'doctor':
      await runDoctor(command)
      return 0
    case 'top':
      await runTop(command)
      return 0
  }
}

async function main(): Promise<void> {
  // `socket-tuner options | head` closes the pipe early: that is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? 0 : 1)
  })
  try {
    process.exitCode = await run(parseCommand(process.argv.slice(2)))
  } catch (error) {
    const misused = error instanceof UsageError
    const code = misused ? ` (${error.code})` : ''
    console.error(`socket-tuner: ${error instanceof Error ? error.message : String(error)}${code}`)
    if (misused) console.error("See 'socket-tuner --help'.")
    process.exitCode = misused ? 2 : 1
  }
}

void main()
