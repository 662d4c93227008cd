'use strict'

const tseslint = require('typescript-eslint')

module.exports = tseslint.config(
  { ignores: ['dist/', 'native/build/', 'coverage/', 'prebuilds/', 'node_modules/'] },
  {
    files: ['lib/**/*.ts', 'test/**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: {
        project: ['./tsconfig.json', './test/tsconfig.json'],
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
    // What sets a close mode apart is a member of its row: lib/close/mode.ts.
    files: ['lib/**/*.ts'],
    ignores: ['lib/close/modes/*.ts', 'lib/close/time-wait.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        ...['BinaryExpression[operator=/^[!=]==?$/] > Literal', 'SwitchCase > Literal'].map(
          (selector) => ({
            selector: `${selector}[value=/^(fin|deliver|lingering|reset)$/]`,
            message: 'Only the files of lib/close/modes/ tell close modes apart.',
          }),
        ),
      ],
    },
  },
  {
    files: ['lib/cli/**/*.ts'],
    rules: { 'no-console': 'off' },
  },
)
