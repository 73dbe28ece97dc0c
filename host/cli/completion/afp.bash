# bash completion for afp

_afp() {
  local cur prev verb="" i
  COMPREPLY=()
  cur="${COMP_WORDS[COMP_CWORD]}"
  prev="${COMP_WORDS[COMP_CWORD - 1]}"

  for ((i = 1; i < COMP_CWORD; ++i)); do
    case "${COMP_WORDS[i]}" in
      inspect | search | quantize | dequantize | verify)
        verb="${COMP_WORDS[i]}"
        break
        ;;
    esac
  done
  if [[ -z $verb ]]; then
    COMPREPLY=($(compgen -W "inspect search quantize dequantize verify --help --version -h" -- "$cur"))
    return
  fi

  case "$prev" in
    --bits) COMPREPLY=($(compgen -W "2 3 4 5 6 7 8" -- "$cur")); return ;;
    --format) COMPREPLY=($(compgen -W "E1M2 E2M1 E2M3 E3M2 E4M3 E2M1/32/e8m0 E2M1/16/ue4m3" -- "$cur")); return ;;
    --block) COMPREPLY=($(compgen -W "tensor row 16 32 64 128" -- "$cur")); return ;;
    --scale) COMPREPLY=($(compgen -W "e8m0 ue4m3" -- "$cur")); return ;;
    --effort) COMPREPLY=($(compgen -W "exact fast" -- "$cur")); return ;;
    --objective) COMPREPLY=($(compgen -W "mse kl kl-seed" -- "$cur")); return ;;
    --method) COMPREPLY=($(compgen -W "exact anneal genetic bayes" -- "$cur")); return ;;
    --preset) COMPREPLY=($(compgen -W "iccv2021" -- "$cur")); return ;;
    --sample) COMPREPLY=($(compgen -W "1/4 1/16 1/64" -- "$cur")); return ;;
    --dtype) COMPREPLY=($(compgen -W "BF16 F16 F32" -- "$cur")); return ;;
    --backend) COMPREPLY=($(compgen -W "auto cpu cuda" -- "$cur")); return ;;
    --device) COMPREPLY=($(compgen -W "0 1 0,1 all" -- "$cur")); return ;;
    --progress) COMPREPLY=($(compgen -W "bar json none" -- "$cur")); return ;;
    --memory-budget) COMPREPLY=($(compgen -W "512MiB 1GB 2GB 4GB 8GB" -- "$cur")); return ;;
    --keep | --only | --set | --threads | --target-* | --candidates | --seed | --chains | --tie | --penalty-exponent) return ;;
    -o | --output | --rules | --against | --plan | --importance | --costs | --save-costs | --report)
      compopt -o filenames
      COMPREPLY=($(compgen -f -- "$cur"))
      return
      ;;
  esac

  if [[ $cur == -* ]]; then
    local options=""
    local searching="--target-bpw --target-size --target-sqnr --candidates --objective --importance --sample
                     --method --seed --chains --tie --uniform --penalty-exponent --preset --save-costs --costs
                     --report"
    case "$verb" in
      inspect) options="--stats --backend --device --json --help -h" ;;
      search)
        options="-o --output --keep --only --set --rules --bits --block --scale --effort --backend --device
                 --threads --memory-budget --force --json --quiet --verbose --progress --help -h $searching"
        ;;
      quantize)
        options="-o --output --keep --only --set --rules --bits --format --block --scale --effort --backend
                 --device --threads --memory-budget --plan --dry-run --force --json --quiet --verbose --progress --help -h $searching"
        ;;
      dequantize)
        options="-o --output --dtype --backend --device --threads --memory-budget --force --json --quiet --verbose
                 --progress --help -h"
        ;;
      verify)
        options="--against --backend --device --threads --memory-budget --json --quiet --verbose --progress --help -h"
        ;;
    esac
    COMPREPLY=($(compgen -W "$options" -- "$cur"))
    return
  fi
  compopt -o filenames
  COMPREPLY=($(compgen -f -- "$cur"))
}
complete -F _afp afp
