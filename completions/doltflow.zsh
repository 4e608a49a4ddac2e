#compdef doltflow

_doltflow_completion() {
  eval $(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _DOLTFLOW_COMPLETE=complete_zsh doltflow)
}

compdef _doltflow_completion doltflow
