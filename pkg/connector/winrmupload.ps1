# Copies a file or folder to this machine. winrmcopy.go describes the lines that this script gets.
# Comments and indentation are removed before it is sent. It must begin with "begin", because PowerShell passes stdin to its process block, line by line.
# For Windows PowerShell 5.1. Nothing may reach the output but what is meant to.
begin {
    $ProgressPreference = 'SilentlyContinue'
    $ErrorActionPreference = 'Stop'
    $utf8 = New-Object Text.UTF8Encoding $false, $true
    $s = @{}
    $s.sha = New-Object Security.Cryptography.SHA256CryptoServiceProvider

    # A file that was just written may still be open in a virus scanner, and so may its folder. Then it is tried again.
    function Retry($do) {
        foreach ($n in 1..30) {
            try { [void](& $do); return } catch { if ($n -eq 30) { throw } }
            [Threading.Thread]::Sleep(100)
        }
    }
    function CloseFile {
        $file = $s.file
        $s.file = $null
        if ($file) { $file.Dispose() }
    }
    function RemoveTemp {
        try { CloseFile } catch { }
        try { Retry { if ($s.temp -and [IO.Directory]::Exists($s.temp)) { [IO.Directory]::Delete($s.temp, $true) } } } catch { }
    }
    function Fail($why) {
        [Console]::Error.WriteLine($why)
        RemoveTemp
        exit 1
    }
    function Decode($text) { $utf8.GetString([Convert]::FromBase64String($text)) }
    # A name begins with "data". Windows does not tell A from a.
    function NewPath($name) {
        $path = [IO.Path]::Combine($s.temp, (Decode $name))
        if ([IO.File]::Exists($path) -or [IO.Directory]::Exists($path)) { throw "${path} is there already: on Windows, upper and lower case are the same name" }
        $path
    }
    function SetTarget($target, $temp) {
        $s.target = [IO.Path]::GetFullPath([IO.Path]::Combine([string]$env:USERPROFILE, (Decode $target)))
        $parent = [IO.Path]::GetDirectoryName($s.target)
        $s.temp = [IO.Path]::Combine($parent, $temp)
        if ([IO.Directory]::Exists($s.target)) {
            throw "$($s.target) is an existing folder, which is not replaced: write $($s.target)\ to copy into it, or another name"
        }
        if (-not [IO.Directory]::Exists($parent)) { throw "${parent}: no such folder" }
        [void][IO.Directory]::CreateDirectory($s.temp)
    }
    function Commit($sum) {
        [void]$s.sha.TransformFinalBlock([byte[]]@(), 0, 0)
        if ([BitConverter]::ToString($s.sha.Hash).Replace('-', '') -ne $sum) { throw 'the copy was changed on its way' }
        $data = [IO.Path]::Combine($s.temp, 'data')
        Retry {
            if ([IO.Directory]::Exists($data)) { [IO.Directory]::Move($data, $s.target) }
            elseif ([IO.File]::Exists($s.target)) { [IO.File]::Replace($data, $s.target, [NullString]::Value) }
            else { [IO.File]::Move($data, $s.target) }
        }
        $s.done = $true
        RemoveTemp
    }
    function Step($line) {
        $word, $a, $b = $line.Split(' ')
        if ($word -ne 'commit') {
            $bytes = [Text.Encoding]::ASCII.GetBytes($line + "`n")
            [void]$s.sha.TransformBlock($bytes, 0, $bytes.Length, $bytes, 0)
        }
        if ($word -ne 'data') { CloseFile }
        switch ($word) {
            'target' { SetTarget $a $b }
            'folder' { [void][IO.Directory]::CreateDirectory((NewPath $a)) }
            'file' { $s.file = [IO.File]::Open((NewPath $a), 'CreateNew', 'Write', 'None') }
            'data' { $bytes = [Convert]::FromBase64String($a); $s.file.Write($bytes, 0, $bytes.Length) }
            'commit' { Commit $a }
            default { throw 'unknown line' }
        }
    }
}
process {
    $line = [string]$_
    try { Step $line } catch { Fail ($_.Exception.GetBaseException().Message) }
}
end {
    if (-not $s.done) { Fail 'the input ended before the copy was whole' }
    [Console]::Out.WriteLine('whole')
    exit 0
}
