'use strict'

/**
 * Replaces the modules of dist/ by a few files, because Node takes longer to find and read a module than to run it.
 * Every entry of the package keeps its path, and so does every file that is started or found by its path. The modules
 * that the root entry loads are in one file, dist/chunks/core.js. The other entries use that file too, so there is one
 * copy of the state. Nothing is minified. The declarations stay as tsc wrote them.
 *
 * A module that another one loads by `require()` in a function has data only. It becomes a JSON text in the chunk of the
 * other one, which parses it at that call. A file of its own would have to be read at the call, which fails if the process
 * has no descriptor left.
 */
const { deepStrictEqual } = require('node:assert')
const fs = require('node:fs')
const { dirname, join, posix, relative, sep } = require('node:path')
const { rollup } = require('rollup')
const ts = require('typescript')
const { bin, exports: entries } = require('../package.json')

const root = join(__dirname, '..')
const lib = join(root, 'lib')
const dist = join(root, 'dist')
const { compilerOptions } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile).config

const nameOf = (path) => relative(lib, path).split(sep).join('/').replace(/\.ts$/, '')
const pathOf = (name) => join(lib, ...`${name}.ts`.split('/'))

/** This file stays as tsc wrote it, because `export =` does not exist in ES modules. */
const kept = pathOf('clients/autocannon/worker-setup')

function transpile(path) {
  const options = { module: 'esnext', moduleResolution: 'bundler', sourceMap: false }
  return ts.transpileModule(fs.readFileSync(path, 'utf8'), {
    fileName: path,
    compilerOptions: { ...compilerOptions, ...options, removeComments: true },
  }).outputText
}

/** The modules of lib/ by path, as ES modules without types. */
const sources = new Map(
  fs
    .readdirSync(lib, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => [join(lib, file), transpile(join(lib, file))]),
)

/** Returns the path of an imported module of lib/; undefined for another module. */
function resolve(specifier, from) {
  if (!specifier.startsWith('.')) return undefined
  const path = join(dirname(from), specifier)
  return [`${path}.ts`, join(path, 'index.ts')].find((each) => sources.has(each))
}

/** Returns the modules of lib/ that a module imports or loads on demand. */
function importsOf(path) {
  const { importedFiles } = ts.preProcessFile(sources.get(path), true, true)
  return importedFiles.flatMap(({ fileName }) => resolve(fileName, path) ?? [])
}

const usesOwnPath = (path) => /\b(__dirname|__filename|require\.resolve)\b/.test(sources.get(path))

/** The modules that package.json names. */
const entryModules = [
  ...Object.values(entries).flatMap((entry) => entry.default ?? []),
  ...Object.values(bin),
].map((file) => pathOf(posix.relative('dist', posix.normalize(file)).replace(/\.js$/, '')))

/** Returns the other modules that keep their path. */
function modulesByPath() {
  const imported = new Set([...sources.keys()].flatMap(importsOf))
  // A module that no other imports is started by its path, unless it has types only.
  const isAlone = (path) => !imported.has(path) && sources.get(path).trim() !== 'export {};'
  const found = [...sources.keys()].filter((path) => usesOwnPath(path) || isAlone(path))
  const others = new Set([...found, ...importsOf(kept)])
  for (const path of [...entryModules, kept]) others.delete(path)
  return others
}

/** Returns the modules that the root entry loads, without itself. */
function modulesOfRoot() {
  const found = new Set()
  const visit = (path) => {
    if (found.has(path)) return
    found.add(path)
    importsOf(path).forEach(visit)
  }
  const index = pathOf('index')
  visit(index)
  found.delete(index)
  return found
}

const ON_DEMAND = 'on-demand:'

/** Replaces the `require()` of each module that this one loads on demand. */
function importOnDemand(path) {
  const imports = []
  const specifiers = []
  const code = sources.get(path).replaceAll(/\brequire\('(\.[^']+)'\)/g, (call, specifier) => {
    const name = `load${imports.length}`
    imports.push(`import { load as ${name} } from '${ON_DEMAND}${resolve(specifier, path)}'`)
    specifiers.push(specifier)
    return `${name}()`
  })
  // What it imports for its file alone would be evaluated at once.
  const rest = specifiers.reduce((all, each) => all.replace(`import '${each}';`, ''), code)
  return [...imports, rest].join('\n')
}

/** Returns a module with a function that returns the exports of another module. They must be what JSON can express. */
function moduleOnDemand(path) {
  const data = { ...require(join(dist, nameOf(path))) }
  const json = JSON.stringify(data)
  deepStrictEqual(JSON.parse(json), data)
  const literal = json.replaceAll(/[\\']/g, '\\$&')
  return `let loaded
    export function load() { return (loaded ??= JSON.parse('${literal}')) }`
}

function resolveId(specifier, from) {
  if (from === undefined || specifier.startsWith(ON_DEMAND)) return specifier
  return resolve(specifier, from) ?? { id: specifier, external: true }
}

function loadModule(path) {
  const code = path.startsWith(ON_DEMAND)
    ? moduleOnDemand(path.slice(ON_DEMAND.length))
    : importOnDemand(path)
  return { code, map: null }
}

async function bundle() {
  const core = modulesOfRoot()
  const modules = {
    name: 'modules',
    buildStart() {
      for (const id of modulesByPath()) {
        // Only the files of entries must export what their modules export and nothing else.
        const preserveSignature = core.has(id) ? 'strict' : 'allow-extension'
        this.emitFile({ type: 'chunk', id, fileName: `${nameOf(id)}.js`, preserveSignature })
      }
    },
    resolveId,
    load: loadModule,
  }
  const built = await rollup({
    input: Object.fromEntries(entryModules.map((path) => [nameOf(path), path])),
    plugins: [modules],
    // Drops only what nothing uses, such as the texts of docs/warnings.md about errors.
    treeshake: { annotations: false, propertyReadSideEffects: 'always' },
    onwarn(warning) {
      throw new Error(warning.message)
    },
  })
  const { output } = await built.generate({
    format: 'cjs',
    chunkFileNames: ({ name, moduleIds }) =>
      `chunks/${name === 'core' ? name : nameOf(moduleIds.at(-1)).replaceAll('/', '-')}.js`,
    esModule: true,
    exports: 'named',
    hoistTransitiveImports: false,
    interop: 'default',
    manualChunks: (path) => (core.has(path.replace(ON_DEMAND, '')) ? 'core' : undefined),
  })
  await built.close()
  return output
}

/** Throws if a module that finds files by its own path would not find them from its chunk. */
function checkPaths({ fileName, moduleIds }) {
  for (const path of moduleIds.filter(usesOwnPath)) {
    const name = nameOf(path)
    // This module only finds the root of the package, two folders up.
    const isAsDeep = name === 'kernel/addon' && fileName.split('/').length === 2
    if (dirname(name) !== dirname(fileName) && !isAsDeep)
      throw new Error(`${name} uses its own path, but is moved to ${fileName}`)
  }
}

async function main() {
  const output = await bundle()
  output.forEach(checkPaths)
  const keptInDist = join(dist, relative(lib, kept)).replace(/\.ts$/, '.js')
  for (const file of fs.readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
    const path = join(dist, file)
    if (file.endsWith('.js') && path !== keptInDist) fs.rmSync(path)
  }
  for (const { fileName, code } of output) {
    const path = join(dist, fileName)
    fs.mkdirSync(dirname(path), { recursive: true })
    fs.writeFileSync(path, code)
  }
}

void main()
