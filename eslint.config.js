'use strict'

const http = require('node:http')
const https = require('node:https')
const net = require('node:net')
const stream = require('node:stream')
const tls = require('node:tls')
const tseslint = require('typescript-eslint')

/** Close modes differ by the members of their rows (lib/close/mode.ts), not by conditions on their names. */
const closeModes = ['BinaryExpression[operator=/^[!=]==?$/] > Literal', 'SwitchCase > Literal'].map(
  (selector) => ({
    selector: `${selector}[value=/^(fin|deliver|lingering|reset)$/]`,
    message: 'Only the files of lib/close/modes/ distinguish close modes.',
  }),
)

/** The functions of Node's modules, and of its sockets, servers, agents, requests and handles. */
const functionsOfNode = [
  ...[net, tls, http, https],
  ...[net.Socket, net.Server, tls.TLSSocket, tls.Server, http.Server, http.Agent, https.Agent],
  ...[http.ClientRequest, http.ServerResponse, http.OutgoingMessage, http.IncomingMessage],
  ...[stream.Duplex, stream.Readable, stream.Writable],
]
  .flatMap((owner) => Object.entries(Object.getOwnPropertyDescriptors(owner.prototype ?? owner)))
  .flatMap(([name, { value }]) => (typeof value === 'function' ? [name] : []))
  .filter((name) => /^[a-z]\w*$/.test(name) && name !== 'constructor')
  .concat('emit', 'on', 'once', 'off', 'connect6', 'open', 'oncomplete')

/** Objects of this library that have members of the same names. */
const own = '[object.name=/^(hooks|below|policy)$/]'

/** Private parts of Node: lib/node/ has a function and a contract test for each. */
const privateParts = [
  'MemberExpression[computed=false] > Identifier.property[name=/^_/]',
  'Property > Identifier.key[name=/^_/]',
  'TSPropertySignature > Identifier.key[name=/^_/]',
  'Literal[value=/^_[a-z]/i]',
  'MemberExpression > Identifier.property[name=/^getOwnPropert(ySymbols|yDescriptors?)$/]',
  'MemberExpression[object.name=process] > Identifier.property[name=/^(binding|getBuiltinModule)$/]',
  // The language's own classes are not Node's.
  'MemberExpression:not([object.type=ThisExpression]):not([object.name=/^(Function|Object|Array|Error)$/]) > Identifier.property[name=prototype]',
  `AssignmentExpression > MemberExpression.left:not([object.type=ThisExpression]):not(${own}) > Identifier.property[name=/^(${[...new Set(functionsOfNode)].join('|')})$/]`,
].map((selector) => ({
  selector,
  message: 'Private parts of Node are read and replaced in lib/node/ only.',
}))

/** The same of other packages: one file of each adapter. */
const ofOtherPackages = ['lib/clients/artillery/script.ts', 'lib/clients/autocannon/tune-client.ts']

/** TypeScript writes a helper for it into each file, which the bundler refuses. */
const withHelpers = [
  {
    selector: 'VariableDeclaration[kind=/using$/]',
    message: 'Close it in a finally block: `using` needs a helper of TypeScript in each file.',
  },
]

module.exports = tseslint.config(
  { ignores: ['dist/', 'native/build/', 'coverage/', 'prebuilds/', 'node_modules/'] },
  {
    files: ['lib/**/*.ts', 'test/**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      // Its program has lib/ too.
      parserOptions: {
        project: './test/tsconfig.json',
        tsconfigRootDir: __dirname,
      },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-import-type-side-effects': 'error',
      eqeqeq: 'error',
      'no-console': 'error',
    },
  },
  {
    files: ['lib/**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', ...closeModes, ...privateParts, ...withHelpers] },
  },
  {
    files: ['lib/close/modes/*.ts', 'lib/close/time-wait.ts'],
    rules: { 'no-restricted-syntax': ['error', ...privateParts, ...withHelpers] },
  },
  {
    files: ['lib/node/*.ts', ...ofOtherPackages],
    rules: { 'no-restricted-syntax': ['error', ...closeModes, ...withHelpers] },
  },
  {
    files: ['lib/node/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: '^\\.\\./(?!(kernel/.*|errors)$)',
              message:
                'lib/node/ depends on Node, and on no part of this library but those below it.',
            },
          ],
        },
      ],
    },
  },
  {
    files: ['lib/cli/**/*.ts'],
    rules: { 'no-console': 'off' },
  },
)
