'use strict'

/**
 * use-bundle FOLDER: compares an installed package with dist/, from which it was bundled, and uses the files that it
 * starts by their paths.
 */
const { deepStrictEqual: same, strictEqual: equal } = require('node:assert')
const { execFileSync } = require('node:child_process')
const { once } = require('node:events')
const http = require('node:http')
const { join, relative, sep } = require('node:path')

const installed = process.argv[2]
const root = join(__dirname, '..')
const { exports: entries } = require('../package.json')

/** The files of the package that this process has loaded. */
function loaded() {
  return Object.keys(require.cache)
    .filter((file) => file.startsWith(installed + sep))
    .map((file) => relative(installed, file))
    .filter((file) => !file.endsWith('.node'))
}

/** The names of the exports, and of those of them that are functions or classes. */
function namesOf(exported) {
  return Object.fromEntries(
    Object.entries(exported).map(([name, value]) => [
      name,
      typeof value === 'function' ? value.name : typeof value,
    ]),
  )
}

async function main() {
  const { SocketTunerError, closeTotals } = require(installed)
  same(loaded().toSorted(), ['dist/chunks/core.js', 'dist/index.js'])

  const files = Object.entries(entries).flatMap(([entry, file]) =>
    entry === './register' ? [] : (file.default ?? []),
  )
  for (const file of files) {
    same(namesOf(require(join(installed, file))), namesOf(require(join(root, file))), file)
  }

  // All entries share one copy of the state.
  const { TunedAgent } = require(join(installed, entries['./http'].default))
  const { tunedAutocannon } = require(join(installed, entries['./autocannon'].default))
  try {
    new TunedAgent({ sourec: '127.0.0.1' })
    throw new Error('nothing was thrown')
  } catch (error) {
    equal(error.constructor, SocketTunerError)
  }
  const server = http.createServer((request, response) => response.end())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address()
  const before = closeTotals().closes.deliver
  const result = await tunedAutocannon(
    { url: `http://127.0.0.1:${port}`, connections: 1, amount: 1 },
    { autocannon: require('autocannon') },
  )
  equal(result.non2xx + result.errors, 0)
  equal(closeTotals().closes.deliver, before + 1)

  // Files that are started or found by their paths.
  const inWorkers = await tunedAutocannon(
    { url: `http://127.0.0.1:${port}`, connections: 2, amount: 10, workers: 2 },
    { autocannon: require('autocannon') },
  )
  equal(inWorkers['2xx'], 10)
  server.close()
  const run = (args, env) =>
    execFileSync(process.execPath, args, {
      encoding: 'utf8',
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
  const command = join(installed, 'dist', 'cli', 'main.js')
  const demo = run([command, 'demo', '--loopback', '--connections', '100', '--json'])
  equal(JSON.parse(demo).results.length > 0, true)
  for (const workers of ['1', '2']) {
    const stress = run([command, 'stress', '--amount', '100', '--workers', workers, '--json'])
    equal(JSON.parse(stress).requests.answered, 100)
  }
  const register = join(installed, entries['./register'].default)
  const program = `
    const { getOption } = require(${JSON.stringify(installed)})
    const server = require('node:net').createServer().listen(0, '127.0.0.1', () => {
      console.log(getOption(server, 'TCP_KEEPIDLE'))
      server.close()
    })`
  const SOCKET_TUNER = JSON.stringify({ servers: { settings: { TCP_KEEPIDLE: 77 } } })
  equal(run(['--require', register, '-e', program], { SOCKET_TUNER }).trim(), '77')
  console.log('bundle', process.version, files.length, 'entries')
}

void main()
